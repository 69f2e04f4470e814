"""Cloud identities: which AWS, Google or Azure credential a provider would use here, and the credential itself.

``modes`` has the words (a mode, its problems, its reasons) and shows a mode as plain rows; ``variables`` says which variables
count; ``aws``, ``google`` and ``azure`` resolve a mode, without network or library; ``aws_credentials``, ``google_token`` and
``azure_token`` obtain a credential through the cloud's own library, an optional extra; ``issuing`` says what a child process gets
and loses. Nothing is imported here: asking which family a provider is of must cost nothing.
"""

from __future__ import annotations

MEMBERS = {
    "bedrock": ("amazon-bedrock",),
    "vertex": ("google-vertex", "google-vertex-anthropic"),
    "azure": ("azure", "azure-cognitive-services"),
}
OVERRIDE = ("VAULT_AWS_", "BMO_AWS_")
"""What names of this process's own AWS variables start with: vault's, and BMO's, which a person may carry over."""
OVERRIDDEN = tuple(
    prefix + name
    for prefix in OVERRIDE
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "BEARER_TOKEN_BEDROCK")
)


def family_of_id(provider: str) -> str:
    """The family that an id of the catalogue is of, or an empty text."""
    return next((family for family, ids in MEMBERS.items() if provider in ids), "")
