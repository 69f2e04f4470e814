"""Golden files: the header bytes of every event type at every schema ever shipped, the payload bytes of every credential."""
