"""The vault inside other libraries: httpx, keyring, llm. Each module is imported only by what it serves."""


def tell(text: str) -> None:
    """Say on the host program's stderr, if it has one, what these libraries have no way to say: why there is no credential."""
    import sys

    from vault.showing import printable

    if sys.stderr is not None:
        sys.stderr.write(printable(text) + "\n")
