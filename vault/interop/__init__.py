"""Other tools: one file a tool, saying what it stores and, later, what it is served."""
