"""What is decided, purely: state from events, events from state. No clock, no randomness, no I/O."""
