"""What is known about providers: the catalogue, and later their sign-in flows."""
