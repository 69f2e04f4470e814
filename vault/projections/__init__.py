"""Read models, kept inline with the log and rebuilt from it."""
