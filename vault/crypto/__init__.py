"""Keys, sealing and encodings: the only package that touches ciphers."""
