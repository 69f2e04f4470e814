"""The tables that are read before anything is unlocked: the vault's id and format, its key slots, its epochs."""

from __future__ import annotations

from vault.crypto.keys import WrappedEpoch
from vault.crypto.keyslots import Slot
from vault.errors import IntegrityError, NewerVersion
from vault.log.database import Database

FORMAT = 1


def read_slots(database: Database) -> tuple[bytes, list[Slot], list[WrappedEpoch]]:
    """What is needed to unlock: vault id, key slots, wrapped epochs. Raises IntegrityError."""
    with database.reading() as connection:
        found = connection.execute("SELECT id, format FROM vault").fetchone()
        slots = connection.execute("SELECT slot, kind, parameters, wrapped, commitment FROM key_slots ORDER BY slot")
        epochs = connection.execute("SELECT epoch, audit, secret FROM epochs ORDER BY epoch")
        if found is None or len(found[0]) != 16:
            raise IntegrityError(f"{database.path} has no vault id", hint="restore the file from a backup")
        if found[1] > FORMAT:
            raise NewerVersion(
                f"{database.path} has the format {found[1]} of a newer vault", hint="upgrade agent-vault"
            )
        return found[0], [Slot(*row) for row in slots], [WrappedEpoch(*row) for row in epochs]
