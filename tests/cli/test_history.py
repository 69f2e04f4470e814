"""history: every filter, every form, and following what happens."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cli.running import SECRETS, VAULT, WAIT, Real, Shell, finish, next_line
from tests.support import START, Files
from vault.cli import output
from vault.context import Context
from vault.values import DAY, HOUR, MINUTE, SECOND, format_instant_exact

pytestmark = pytest.mark.usefixtures("furnished")

BODY = {
    "position",
    "at",
    "type",
    "schema_version",
    "stream",
    "version",
    "actor",
    "command_id",
    "correlation_id",
    "causation",
    "reason",
    "facts",
    "text",
}


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def positions(shell: Shell, *arguments: str) -> list[int]:
    return [e["position"] for e in shell.json("history", *arguments)["events"]]


@pytest.mark.usefixtures("utc")
def test_for_people_it_is_sentences_newest_first(shell: Shell) -> None:
    told = shell("history")
    assert told.err == ""
    lines = told.lines
    assert len(lines) == 14
    assert (
        lines[0] == "2026-01-01 00:00:07  #14     fake-user@fake-host (fake-shell) "
        "main failed with mistral:paid: billing, reset 2026-01-31 00:00:07"
    )
    assert lines[1].endswith("set the order of main for anthropic: anthropic:work, anthropic:default")
    assert lines[2].endswith("logged out groq:spare of main")
    assert " logged in mistral:paid for main (api_key " in lines[3]
    assert lines[12].endswith("added agent coder, inheriting from main")
    assert lines[13] == "2026-01-01 00:00:00  #1      fake-user@fake-host (fake-shell) made this vault"


def test_every_command_has_a_sentence(shell: Shell) -> None:
    shell("logout", "anthropic:work", "--reason", "left the company")
    for words in (
        "restore anthropic:work",
        "pin anthropic:work",
        "get anthropic --agent coder",
        "unpin anthropic",
        "order clear --provider anthropic",
        "restore --order anthropic",
        "report anthropic:work success",
        "report anthropic:work failure --reason timeout --model m-1",
        "health clear anthropic:work",
        "agent inherit lone --from main",
        "agent remove lone",
        "key add --recovery",
        "key remove 2",
        "verify --record",
    ):
        shell(*words.split())
    texts = [line.partition(") ")[2] for line in shell("history", "--reverse").lines][14:]
    assert texts[0] == "logged out anthropic:work of main: left the company"
    assert texts[1].startswith("restored anthropic:work of main from #6 (api_key ")
    assert texts[2] == "pinned main to anthropic:work"
    assert texts[3].startswith("handed anthropic:work (of main) to coder through get for ")
    assert texts[4:] == [
        "unpinned main from anthropic:work",
        "cleared the order of main for anthropic",
        "restored (from #13) the order of main for anthropic: anthropic:work, anthropic:default",
        "main used anthropic:work with success",
        "main failed with anthropic:work with m-1: timeout",
        "cleared the failures of anthropic:work of main",
        "made agent lone inherit from main",
        "removed agent lone",
        "added key slot 2 (recovery)",
        "removed key slot 2 (recovery)",
        "verified 28 events",
    ]


def test_json(shell: Shell) -> None:
    told = shell.json("history", "--limit", "2")
    assert told["schema"] == "vault.history/1"
    newest, second = told["events"]
    assert set(newest) == BODY
    assert newest["at"] == format_instant_exact(START + 7 * SECOND)
    assert (newest["position"], newest["type"], newest["stream"], newest["version"]) == (
        14,
        "use_reported",
        "rotation/main/mistral",
        1,
    )
    assert newest["actor"] == {
        "user": "fake-user",
        "host": "fake-host",
        "pid": 4242,
        "program": "fake-shell",
        "way": "test",
    }
    assert second["facts"]["profiles"] == ["anthropic:work", "anthropic:default"]


def test_jsonl_is_the_same_objects_a_line_each(shell: Shell) -> None:
    lines = shell("history", "--jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == shell.json("history")["events"]


def test_csv(shell: Shell) -> None:
    shell.login("anthropic", "fake-key", "--reason", '=HYPERLINK("http://example.test","click, me")\nnow')
    rows = list(csv.DictReader(io.StringIO(shell("history", "--csv", "--limit", "2").out)))
    assert list(rows[0]) == [
        "position",
        "at",
        "type",
        "agent",
        "profile",
        "user",
        "host",
        "pid",
        "program",
        "way",
        "reason",
        "text",
    ]
    assert (rows[0]["position"], rows[0]["profile"], rows[0]["way"]) == ("15", "anthropic:default", "cli")
    assert rows[0]["reason"] == '\'=HYPERLINK("http://example.test","click, me")\nnow'
    assert rows[1]["user"] == "fake-user"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'?=1"),
        ("\r=1", "'?=1"),
        ("＝1+1", "'＝1+1"),
        ("1+1", "1+1"),
        ("two\nlines", '"two\nlines"'),
        (5, "5"),
        ("", '""'),
    ],
)
def test_no_cell_of_csv_is_a_formula(cell: object, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.write_csv([[cell]])
    assert capsys.readouterr().out == f"{shown}\n"


def test_no_secret_in_any_form(shell: Shell) -> None:
    shell("get", "anthropic")
    told = "".join(shell("history", "--limit", "0", *form).out for form in ((), ("--json",), ("--jsonl",), ("--csv",)))
    assert all(secret not in told for secret in SECRETS.values())


def test_limit_and_reverse(shell: Shell) -> None:
    assert positions(shell, "--limit", "3") == [14, 13, 12]
    assert positions(shell, "-n", "0") == list(range(14, 0, -1))
    assert positions(shell, "--limit", "3", "--reverse") == [1, 2, 3]
    assert positions(shell, "-r", "-n", "100") == list(range(1, 15))


def test_the_default_limit_is_fifty(shell: Shell) -> None:
    for number in range(40):
        shell("report", "anthropic:work", "failure", "--note", str(number))
    assert positions(shell) == list(range(54, 4, -1))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--agent", "coder"), [8, 2]),
        (("-a", "lone"), [3]),
        (("--agent", "nobody"), []),
        (("--provider", "anthropic"), [13, 6, 5, 4]),
        (("-p", "OpenAI"), [8, 7]),
        (("--provider", "openai", "--agent", "coder"), [8]),
        (("--profile", "anthropic:default"), [5, 4]),
        (("--profile", "groq:spare"), [12, 10]),
        (("--type", "profile_logged_out"), [12]),
        (("--type", "profile_logged_out", "--type", "order_set"), [13, 12]),
        (("--actor", "fake-user", "--limit", "1"), [14]),
        (("--actor", "fake-shell", "--limit", "1"), [14]),
        (("--actor", "nobody"), []),
        (("--profile", "anthropic:default", "--limit", "1", "--reverse"), [4]),
    ],
)
def test_filters(shell: Shell, arguments: tuple[str, ...], expected: list[int]) -> None:
    assert positions(shell, *arguments) == expected
    assert [int(line.split("#")[1].split()[0]) for line in shell("history", *arguments).lines] == expected


def test_a_hand_out_of_an_inherited_profile_concerns_both_agents_once(shell: Shell) -> None:
    shell("get", "anthropic:work", "--agent", "coder")
    assert positions(shell, "--type", "credential_issued") == [15]
    assert positions(shell, "--agent", "coder", "-n", "1") == [15]
    assert positions(shell, "--agent", "main", "-n", "1") == [15]
    assert positions(shell, "-n", "2") == [15, 14]


@pytest.mark.usefixtures("utc")
def test_times(shell: Shell) -> None:
    shell.clock.at = START + DAY + 12 * HOUR
    shell("get", "anthropic")
    shell.clock.forward(HOUR)
    shell("get", "anthropic")
    assert positions(shell, "--since", "90m") == [16, 15]
    assert positions(shell, "--since", "30m") == [16]
    assert positions(shell, "--since", "1h") == [16, 15], "the moment itself counts"
    assert positions(shell, "--since", "today") == [16, 15]
    assert positions(shell, "--since", "friday") == [16, 15]
    assert positions(shell, "--until", "thursday") == list(range(14, 0, -1))
    assert positions(shell, "--until", "yesterday", "-n", "1") == [14]
    assert positions(shell, "--until", "2026-01-01", "-n", "1") == [14]
    assert positions(shell, "--until", "2026-01-01T00:00:03", "-n", "1") == [7]
    assert positions(shell, "--until", "2026-01-01T00:00:02.999999", "-n", "1") == [6]
    assert positions(shell, "--since", "2026-01-01T01:00:05+01:00", "--until", "2026-01-01T00:00:06Z") == [10, 9]
    assert positions(shell, "--since", "now") == [16]
    assert positions(shell, "--since", "2027-01-01") == []
    assert positions(shell, "--until", "2025-12-31") == []
    assert positions(shell, "--since", "50y", "-n", "1", "-r") == [1]


def test_more_than_one_batch(furnished: Files, shell: Shell) -> None:
    from vault.commands.rotation import report
    from vault.values import MAIN_AGENT, ProfileId

    with furnished.open(shell.clock) as context:
        for _ in range(600):
            report(context, MAIN_AGENT, ProfileId("anthropic:work"), "success")
    assert positions(shell, "-n", "0") == list(range(614, 0, -1))
    assert positions(shell, "-n", "0", "-r") == list(range(1, 615))
    assert positions(shell, "-n", "300", "--profile", "anthropic:work") == list(range(614, 314, -1))


def test_only_what_is_shown_is_opened(furnished: Files, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.log.store import EventStore

    opened: list[int] = []
    original = EventStore.opened

    def watch(self: EventStore, row: object) -> object:
        opened.append(row.position)  # type: ignore[attr-defined]
        return original(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(EventStore, "opened", watch)
    assert positions(shell, "--profile", "anthropic:default", "-n", "1") == [5]
    assert set(opened) <= {14, 5}, "the head and the one event"


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("--type", "profile_exploded"), 65, "'profile_exploded' is not a type of event: did you mean profile_"),
        (("--since", "soon"), 65, "'soon' is not a time"),
        (("--until", "2026-02-30"), 65, "'2026-02-30' is not a time"),
        (("--limit", "-1"), 64, "the value of --limit is not valid"),
        (("--limit", "many"), 64, "the value of --limit is not valid"),
        (("--profile", "anthropic"), 65, "is not a profile id"),
        (("--agent", "Bad Agent"), 65, "is not an agent id"),
        (("--provider", "Bad Provider!"), 65, "is not a provider id"),
        (("--json", "--csv"), 64, "two forms of output are asked for"),
        (("--jsonl", "--csv"), 64, "two forms of output are asked for"),
        (("--follow", "--json"), 64, "--follow with --jsonl"),
    ],
)
def test_wrong_use(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    told = shell("history", *arguments, status=status)
    assert (told.out, what in told.err) == ("", True)


def test_a_reader_that_goes_away_is_no_error(furnished: Files, real: Real, shell: Shell) -> None:
    from vault.commands.rotation import report
    from vault.values import MAIN_AGENT, ProfileId

    with furnished.open() as context:
        for _ in range(2000):
            report(context, MAIN_AGENT, ProfileId("anthropic:work"), "success")
    for form in ((), ("--json",), ("--jsonl",), ("--csv",)):
        process = real.start("history", "--limit", "0", *form)
        assert next_line(process) != ""
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        ended = finish_without_stdout(process)
        assert ended == (141, b""), form


def finish_without_stdout(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(WAIT), said


def test_head_in_a_pipeline(real: Real) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" history --jsonl | head -1', str(VAULT)],
        capture_output=True,
        env=dict(os.environ),
        check=True,
        timeout=WAIT,
    )
    assert json.loads(done.stdout)["position"] == 14
    assert done.stderr == b""


# -- following


def followed(line: str) -> int:
    position = json.loads(line)["position"]
    assert isinstance(position, int)
    return position


def test_follow_shows_what_another_process_writes(real: Real) -> None:
    process = real.start("history", "--follow", "--jsonl", "--limit", "2")
    assert [followed(next_line(process)) for _ in range(2)] == [13, 14], "the newest, oldest of them first"
    for number in (15, 16):
        real("login", "anthropic", "--stdin", stdin=f"fake-key-{number}")
        assert followed(next_line(process)) == number
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert (ended.status, ended.out, "Traceback" in ended.err) == (130, "", False)


def test_follow_filters(real: Real) -> None:
    process = real.start("history", "--follow", "--csv", "--provider", "openai", "--limit", "1")
    assert next_line(process).startswith("position,at,type")
    assert next_line(process).startswith("8,")
    real("login", "anthropic", "--stdin", stdin="fake-key")
    real("login", "openai", "--stdin", stdin="fake-key")
    assert next_line(process).startswith("16,")


def test_follow_in_sentences(real: Real) -> None:
    process = real.start("history", "-f", "-n", "1")
    assert "main failed with mistral:paid" in next_line(process)
    real("get", "anthropic")
    assert "handed anthropic:work to main through get" in next_line(process)


def test_follow_shows_each_event_once_though_it_is_written_while_it_looks(
    furnished: Files, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.commands.rotation import report
    from vault.log.store import EventStore
    from vault.values import MAIN_AGENT, ProfileId

    original = EventStore.head
    written = 0
    looks = 0

    def head_then_write(self: EventStore) -> object:
        """Each look at the head is followed by a new event, before anything is read."""
        nonlocal written, looks
        found = original(self)
        looks += 1
        if looks > 12:
            raise KeyboardInterrupt
        if looks % 2 and not self.database.connection.in_transaction:
            written += 1
            with furnished.open(shell.clock) as other:
                monkeypatch.setattr(EventStore, "head", original)
                report(other, MAIN_AGENT, ProfileId("anthropic:work"), "success", reason=str(written))
                monkeypatch.setattr(EventStore, "head", head_then_write)
        return found

    monkeypatch.setattr(EventStore, "head", head_then_write)
    monkeypatch.setattr("vault.cli.history.POLL_SECONDS", 0)
    told = shell("history", "--follow", "--jsonl", "--limit", "1", status=130)
    shown = [followed(line) for line in told.out.splitlines()]
    assert shown == list(range(shown[0], shown[0] + len(shown)))
    assert shown[-1] >= 14 + written - 1


def test_a_listing_that_is_not_read_to_its_end_leaves_nothing_open(furnished: Files) -> None:
    from vault.commands.history import Filter, read_history
    from vault.commands.rotation import report
    from vault.values import MAIN_AGENT, ProfileId

    context: Context
    with furnished.open() as context:
        listing = read_history(context, Filter())
        assert next(listing).position == 14
        report(context, MAIN_AGENT, ProfileId("anthropic:work"), "success")
        assert next(listing).position == 13
        assert not context.database.connection.in_transaction


def test_minutes(shell: Shell) -> None:
    shell.clock.at = START + 5 * MINUTE
    assert positions(shell, "--since", "5m", "-n", "1") == [14]
    assert positions(shell, "--since", "4m") == []
