"""What can happen, and its bytes."""
