"""Known answers for every byte format, their generator, and a verifier that knows nothing of vault."""
