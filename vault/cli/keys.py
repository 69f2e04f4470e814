"""init; key list, add, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output, streams
from vault.cli.groups import Group
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, can_ask, opened, places, ways
from vault.crypto.keyslots import RECOVERY
from vault.errors import UsageError
from vault.values import MAIN_AGENT

if TYPE_CHECKING:
    from vault.commands.keys import Choice

key = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, help="Ways to unlock the vault.")

KeyringFlag = Annotated[bool, typer.Option("--keyring", help="The OS keyring.")]
PassphraseFlag = Annotated[bool, typer.Option("--passphrase", help="A passphrase.")]
KeyFileOption = Annotated[str, typer.Option("--key-file", metavar="PATH", help="A key file; made if it is missing.")]
KeyCommandOption = Annotated[str, typer.Option("--key-command", metavar="CMD", help="A command that prints the key.")]


def init(
    keyring: KeyringFlag = False,
    passphrase: PassphraseFlag = False,
    key_file: KeyFileOption = "",
    key_command: KeyCommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Make a vault. Without an option: the OS keyring if there is one, else a passphrase."""
    from vault.commands.keys import initialise

    choice = _choice(keyring, passphrase, key_file, key_command, False)
    done = initialise(places(), choice, ways(no_input))
    lost = "the vault is made, but its recovery code is lost: vault key add --recovery makes another"
    if json:
        with streams.once(lost):
            output.write_json(
                "init",
                {
                    "database": str(done.path),
                    "unlocks_with": done.kind,
                    "key_file_created": done.key_file_created,
                    "recovery_code": done.recovery_code,
                },
            )
        return
    output.say(f"made a vault at {done.path}")
    output.say(
        f"it unlocks with: {done.kind.replace('-', ' ')}" + (f" {key_file} (new)" if done.key_file_created else "")
    )
    output.say("Recovery code, shown only now. Write it down and keep it apart from this machine:")
    with streams.once(lost):
        output.write(done.recovery_code)
    output.say("next: vault login PROVIDER, or vault import opencode")


@key.command("list")
def list_keys(json: JsonOption = False, no_input: NoInputOption = False) -> None:
    """List the ways to unlock."""
    from vault.commands.keys import list_slots

    with opened(MAIN_AGENT, no_input=no_input, strange_slots=True) as context:
        slots = list_slots(context)
        if json:
            rows = [
                {"slot": s.slot, "kind": s.kind, "place": s.place or None}
                | ({"trouble": s.trouble} if s.trouble else {})
                for s in slots
            ]
            output.write_json("keys", {"slots": rows})
        else:
            output.table(("SLOT", "KIND", "WHERE"), [(str(s.slot), s.kind.replace("-", " "), s.place) for s in slots])
        context.check_slots()


@key.command("add")
def add_key(
    keyring: KeyringFlag = False,
    passphrase: PassphraseFlag = False,
    key_file: KeyFileOption = "",
    key_command: KeyCommandOption = "",
    recovery: Annotated[bool, typer.Option("--recovery", help="A new recovery code.")] = False,
    new_passphrase_file: Annotated[
        str, typer.Option("--passphrase-file", metavar="PATH", help="Read the new passphrase from a file.")
    ] = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Add a way to unlock. The vault must be unlocked to do so."""
    from vault.cli.session import read_secret
    from vault.commands.keys import add_slot
    from vault.unlock import Ways

    choice = _choice(keyring, passphrase or bool(new_passphrase_file), key_file, key_command, recovery)
    if choice is None:
        raise UsageError(
            "no way was named", hint="use --keyring, --passphrase, --key-file PATH, --key-command CMD or --recovery"
        )
    here = ways(no_input)
    given = {}
    if new_passphrase_file:
        text = read_secret("", stdin=False, from_file=new_passphrase_file, from_fd=None, no_input=True)
        given = {"VAULT_PASSPHRASE": text}
    with opened(MAIN_AGENT, no_input=no_input, strange_slots=True) as context:
        slot, secret = add_slot(context, here, choice, Ways(environ=given, ask=here.ask), reason=reason)
    lost = f"the code of key slot {slot.slot} is lost: vault key remove {slot.slot}, then add another"
    if json:
        with streams.once(lost if secret.code else streams.CHECK):
            output.write_json("key", {"slot": slot.slot, "kind": slot.kind, "recovery_code": secret.code or None})
        return
    output.say(f"added key slot {slot.slot}: {slot.kind.replace('-', ' ')}")
    if secret.code:
        output.say("Recovery code, shown only now. Write it down and keep it apart from this machine:")
        with streams.once(lost):
            output.write(secret.code)


@key.command("remove")
def remove_key(
    slot: Annotated[int, typer.Argument(metavar="SLOT", help="The slot's number.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also if only recovery codes are left.")] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Remove a way to unlock. The last one can't be removed; the last one besides recovery codes only with a yes."""
    from vault.commands.keys import list_slots, only_everyday, remove_slot

    with opened(MAIN_AGENT, no_input=no_input, strange_slots=True) as context:
        why = only_everyday([s for s in list_slots(context) if not s.trouble or s.slot == slot], slot)
        if why and not yes and not json and can_ask(no_input):
            if not output.confirm(f"{why[:1].upper()}{why[1:]}. Remove it?"):
                output.say("nothing was removed; add another way first: vault key add")
                raise typer.Exit(0)
            yes = True
        removed, stay = remove_slot(context, slot, sure=yes, reason=reason)
    if json:
        output.write_json("key", {"slot": removed.slot, "kind": removed.slot_kind, "removed": True})
    else:
        output.say(f"removed key slot {removed.slot}: {removed.slot_kind.replace('-', ' ')}")
        kinds = [f"{s.slot} {s.kind.replace('-', ' ')}" for s in stay]
        output.say(f"this vault opens with: {', '.join(kinds)}")
        if all(s.kind != RECOVERY for s in stay):
            output.say("there is no recovery code any more: vault key add --recovery makes one")


def _choice(keyring: bool, passphrase: bool, key_file: str, key_command: str, recovery: bool) -> Choice | None:
    from vault.commands.keys import Choice
    from vault.crypto import keyslots

    named = [
        Choice(kind, text)
        for wanted, kind, text in (
            (keyring, keyslots.KEYRING, ""),
            (passphrase, keyslots.PASSPHRASE, ""),
            (bool(key_file), keyslots.KEY_FILE, key_file),
            (bool(key_command), keyslots.COMMAND, key_command),
            (recovery, keyslots.RECOVERY, ""),
        )
        if wanted
    ]
    if len(named) > 1:
        raise UsageError("two ways to unlock are named", hint="name one; add more with: vault key add")
    return named[0] if named else None
