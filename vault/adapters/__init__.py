"""The vault inside other libraries: httpx, keyring, llm. Each module is imported only by what it serves."""
