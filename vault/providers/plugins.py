"""Sign-in methods from installed packages: the entry point group ``vault.providers``.

A package names a callable without arguments in its metadata,

    [project.entry-points."vault.providers"]
    example = "vault_example:extension"

and that callable returns an ``Extension``: clients (data, run by vault's own flows), methods for any provider id, and, where
data doesn't do, flows of its own. A method of kind ``plugin`` is run by ``sign_in[method id]``, a generator function that takes
a ``Start`` and returns a ``SignedIn``. A credential whose metadata names the client ``X`` is refreshed by ``refresh["X"]`` when
that is there: a generator function that takes the client, the refresh token, the scopes and the extras, and returns an outcome
of ``vault.providers.tokens``. Both yield steps of ``vault.providers.steps`` and do no I/O. ``docs/examples/provider-plugin`` is
a whole one.

A package that fails to load is passed over and named in ``broken``; none takes the place of an embedded client or method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vault.providers.clients import Client
    from vault.providers.methods import Method

GROUP = "vault.providers"


@dataclass(frozen=True, slots=True)
class Extension:
    """What a package adds."""

    clients: Sequence[Client] = ()
    methods: Sequence[Method] = ()
    sign_in: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    refresh: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plugins:
    """All packages' extensions together. ``broken`` holds (package, why) of those that were passed over."""

    clients: tuple[Client, ...] = ()
    methods: tuple[Method, ...] = ()
    sign_in: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    refresh: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    broken: tuple[tuple[str, str], ...] = ()


@cache
def plugins() -> Plugins:
    """What the installed packages add, looked up once; ``plugins.cache_clear()`` forgets it."""
    from importlib.metadata import entry_points

    found: list[tuple[str, Extension]] = []
    broken: list[tuple[str, str]] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        package = point.dist.name if point.dist else point.name
        try:
            extension = point.load()()
            _check(extension)
        except Exception as error:  # noqa: BLE001 - another package's code may raise anything
            broken.append((package, f"{type(error).__name__} while loading {point.value}"))
        else:
            found.append((package, extension))
    return _joined(found, broken)


def _check(extension: object) -> None:
    from vault.providers.clients import Client, registry
    from vault.providers.methods import Method

    if not isinstance(extension, Extension):
        raise TypeError("not an Extension")
    taken = {c.id for c in registry().clients}
    if not all(isinstance(c, Client) and c.id not in taken for c in extension.clients):
        raise ValueError("a client that is none, or that has the id of an embedded one")
    for method in extension.methods:
        if not isinstance(method, Method) or not method.provider:
            raise ValueError("a method that is none, or that names no provider")
        if any(row["id"] == method.id for row in registry().methods.get(method.provider, ())):
            raise ValueError("a method that has the id of an embedded one")
        if (method.kind == "plugin") != (method.id in extension.sign_in):
            raise ValueError("a method of kind plugin without a flow, or another kind with one")


def _joined(found: Sequence[tuple[str, Extension]], broken: Sequence[tuple[str, str]]) -> Plugins:
    import msgspec

    sign_in: dict[str, Callable[..., Any]] = {}
    refresh: dict[str, Callable[..., Any]] = {}
    for _, extension in found:
        sign_in |= extension.sign_in
        refresh |= extension.refresh
    return Plugins(
        clients=tuple(c for _, extension in found for c in extension.clients),
        methods=tuple(
            msgspec.structs.replace(m, package=package) for package, extension in found for m in extension.methods
        ),
        sign_in=sign_in,
        refresh=refresh,
        broken=tuple(broken),
    )
