"""One file a verb: read, decide, append. No terminal, no exit."""
