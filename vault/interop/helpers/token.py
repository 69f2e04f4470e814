"""``token``: the bare secret and a newline, as most tools want it.

Called by Claude Code (``apiKeyHelper``), Codex (``model_providers.X.auth.command``), Copilot CLI
(``COPILOT_PROVIDER_API_KEY_COMMAND``), Crush and BMO-style ``$(…)``, goose (``auth.command``), and ``GITHUB_ASKPASS``.
Nothing is read from standard input: Claude Code leaves a socket there.
"""

from __future__ import annotations

from vault.errors import UsageError
from vault.interop.helpers import Answer, Helper, Request, Serving


def run(request: Request, serving: Serving) -> Answer:
    """Print the secret of the provider or profile that is named. Raises UsageError and what the vault raises."""
    if not request.arguments:
        raise UsageError("no provider is named", hint="vault helper token PROVIDER|PROFILE")
    given = serving.give(request.arguments[0])
    return Answer(given.secret.reveal().encode() + b"\n")


HELPER = Helper(name="token", title="The bare secret", usage="PROVIDER|PROFILE", run=run)
