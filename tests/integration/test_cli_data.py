"""The commands over what is kept: events, retry, dismiss, erase, prune."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, update
from sqlalchemy.engine import make_url

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from app.database.tables import events
from app.formatting import clock_time
from app.outbox.answers import Answers, LastAnswer
from app.outbox.messages import Attempt, Message
from app.outbox.search import Wanted
from app.outbox.store import Store
from tests.support.builders import claim, mark_dead, message, reschedule, rows
from tests.support.flask_app import run
from tests.support.samples import OPENED

ANA = "ana@example.com"
CALL = json.dumps({"userId": "u-81", "event": "Email Opened"})
FIRST = 1_762_076_000.0
"""2025-11-02T09:33:20Z."""

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202egnp.exe"


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn; only account 4417 has a key."""
    keys = {"4417": "a-key"}
    app = create_app(replace(settings, database_url=engine.url, write_key=None, write_keys=keys))
    yield app
    app.extensions["bridge"].close()


@pytest.fixture
def store(app: Flask) -> Store:
    store: Store = app.extensions["bridge"].drip_to_segment.store
    return store


def lines(app: Flask, *arguments: str) -> list[str]:
    """What `events` lists below the header."""
    result = run(app, "events", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[1:]


def ids(app: Flask, *arguments: str) -> list[str]:
    result = run(app, "events", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["message_id"] for line in result.stdout.splitlines()]


def opened(name: str, **kwargs: Any) -> Message:
    told = {"email": ANA, "collection": "Email Opened", "received_at": FIRST, "payload": CALL}
    return message(name, **{**told, **kwargs})


def put_quarantined(store: Store, name: str, raw: bytes, **kwargs: Any) -> None:
    errors = {"data.subscriber": ["Missing."]}
    store.put([message(name, account="", payload=None, raw=raw, errors=errors, **kwargs)])


def bury(store: Store, name: str, **kwargs: Any) -> None:
    store.put([opened(name, **kwargs)])
    mark_dead(store, claim(store, now=FIRST * 2), Attempt(FIRST, "HTTP 400 no", ""))


# events


def test_events_lists_a_line_an_event_newest_first(app: Flask, store: Store) -> None:
    store.put([opened("a"), opened("b", account="5150", email=None)])
    put_quarantined(store, "q", b"", received_at=FIRST + 1)
    at, opens = "2025-11-02 09:33:20", "Email Opened        "
    columns_end, missing = f"{'Reason':40}  Message id", f"{'data.subscriber: Missing.':40}"
    assert run(app, "events").stdout.splitlines() == [
        f"Received (UTC)       State               {'Collection':20}  {'Person':30}  {columns_end}",
        f"2025-11-02 09:33:21  quarantined         {'-':20}  {'-':30}  {missing}  q",
        f"{at}  held                {opens}  {'u-81':30}  {'-':40}  b",
        f"{at}  pending, queued     {opens}  {ANA:30}  {'-':40}  a",
    ]


def test_a_list_without_events_says_so_beside_it(app: Flask) -> None:
    result = run(app, "events", "--state", "dead")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No event matches.\n")
    assert run(app, "events", "--json").output == ""


def test_columns_hold_whatever_is_in_them(app: Flask, store: Store) -> None:
    long = f"{'a' * 60}@example.com"
    store.put([opened("a", email=long), opened("b", collection="Email Marked as Spam or worse")])
    (first, second) = lines(app)
    assert f"  {'a' * 29}…  " in second
    assert "  Email Marked as Spa…  " in first
    assert first.rindex("  b") == second.rindex("  a")


def test_a_reason_is_cut_short(app: Flask, store: Store) -> None:
    store.put([opened("a")])
    mark_dead(store, claim(store, now=FIRST), Attempt(FIRST, "x" * 500, ""))
    assert f"  {'x' * 39}…  a" in lines(app)[0]


def test_the_list_names_what_a_pending_event_waits_for(app: Flask, store: Store) -> None:
    later = time.time() + 60
    store.put([opened("a")])
    lease = claim(store, now=FIRST)
    reschedule(store, lease, {lease.messages[0].id: later}, Attempt(FIRST, "HTTP 500"))
    (line,) = lines(app)
    assert "  pending, retrying   " in line
    assert f"  next {clock_time(later, time.time())}: HTTP 500" in line

    refused = LastAnswer("refused", "HTTP 401: check SEGMENT_WRITE_KEY", FIRST, FIRST)
    Answers(store.engine, "segment").note(
        "a-key", refused.kind, refused.reason, FIRST, FIRST + 60, 1
    )
    bridge_of(app).drip_to_segment.stats.forget()
    assert "  pending, paused     " in lines(app)[0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["--state", "pending"], ["late", "bo"]),
        (["--state", "held"], ["other"]),
        (["--state", "dead"], ["dead"]),
        (["--state", "quarantined"], ["raw"]),
        (["--state", "sent"], []),
        (["--state", "erased"], []),
        (["--collection", "email bounced"], ["bo"]),
        (["--collection", "Subscriber.Bounced"], ["bo"]),
        (["--email", "BO@Example.com"], ["bo"]),
        (["--account", "5150"], ["other"]),
        (["--since", "2025-11-03"], ["late"]),
        (["--since", "2025-11-02T09:33:21"], ["late"]),
        (["--since", "2025-11-02 09:33:20", "--account", "4417"], ["late", "bo", "dead"]),
        (["--since", "2025-11-02 09:33", "--until", "2025-11-02T09:33:20"], ["raw"]),
        (["--until", "1h"], ["raw", "late", "other", "bo", "dead"]),
        (["--since", "1h"], []),
        (["--reason", "400"], ["dead"]),
        (["--reason", "missing"], ["raw"]),
        (["--state", "dismissed"], []),
        (["--limit", "2"], ["raw", "late"]),
    ],
)
def test_events_are_found_by(app: Flask, store: Store, wanted: list[str], found: list[str]) -> None:
    bury(store, "dead")
    store.put([opened("bo", email="Bo@example.com", collection="Email Bounced")])
    store.put([opened("other", account="5150"), opened("late", received_at=FIRST + 86_400)])
    put_quarantined(store, "raw", b"", received_at=FIRST - 9)
    assert ids(app, *wanted) == found


def test_a_wrong_call_is_refused(app: Flask) -> None:
    for wrong in (
        ["events", "--state", "lost"],
        ["events", "--collection", "Email"],
        ["events", "--since", "yesterday"],
        ["events", "--limit", "0"],
        ["events", "an-id", "--state", "sent"],
        *([verb] for verb in ("retry", "dismiss")),
        *([verb, "--yes"] for verb in ("retry", "dismiss")),
        *([verb, "--destination", "segment"] for verb in ("retry", "dismiss")),
        *([verb, "--state", "dead", "an-id"] for verb in ("retry", "dismiss")),
        *(["erase", no_address] for no_address in ("ana", "@a.example", "ana@", "a na@b.c", " ")),
    ):
        assert run(app, *wrong).exit_code == 2, wrong


def test_json_has_every_field(app: Flask, store: Store) -> None:
    store.put(
        [opened("a", raw=OPENED), opened("b", payload=None, raw=b"\xff\x00", errors={"body": []})]
    )
    second, first = map(json.loads, run(app, "events", "--json").stdout.splitlines())
    assert first == {
        "id": first["id"],
        "destination": "segment",
        "message_id": "a",
        "account": "4417",
        "state": "pending",
        "collection": "Email Opened",
        "email": ANA,
        "received_at": "2025-11-02T09:33:20+00:00",
        "due_at": "2025-11-02T09:33:20+00:00",
        "settled_at": None,
        "tries": 0,
        "lease": None,
        "history": None,
        "error": None,
        "reason": None,
        "dismissed_at": None,
        "payload": json.loads(CALL),
        "raw": OPENED.decode(),
    }
    assert (second["raw"], second["raw_base64"]) == (None, "/wA=")
    assert json.loads(run(app, "events", "a", "--json").stdout) == first


def test_one_event_is_shown_whole(app: Flask, store: Store) -> None:
    bury(store, "a", raw=b'{"event":"subscriber.opened_email","n":[1,"\xc3\xa9"]}')
    bridge = bridge_of(app)
    bridge.bulk.retry(Wanted(message_ids=("a",)), FIRST + 60)
    mark_dead(store, claim(store, now=FIRST + 60), Attempt(FIRST + 61, "HTTP 400 again", ""))
    bridge.bulk.dismiss(Wanted(message_ids=("a",)), FIRST + 90)
    assert run(app, "events", "a").stdout == (
        "message id  a\n"
        "state       dead\n"
        "now         Failed: Segment answered HTTP 400 again. Not retried automatically.\n"
        "collection  Email Opened\n"
        "account     4417\n"
        "person      ana@example.com\n"
        "received    2025-11-02T09:33:20Z\n"
        "tries       1\n"
        "due         -\n"
        "settled     2025-11-02T09:34:21Z\n"
        "dismissed   2025-11-02T09:34:50Z\n"
        "reason      HTTP 400 again\n"
        "error       HTTP 400 again\n"
        "history     2025-11-02T09:33:20Z  HTTP 400 no\n"
        "history     2025-11-02T09:34:20Z  retried by hand\n"
        "history     2025-11-02T09:34:21Z  HTTP 400 again\n"
        "\nWhat Drip sent (48 bytes):\n\n"
        '{\n  "event": "subscriber.opened_email",\n  "n": [\n    1,\n    "é"\n  ]\n}\n'
        "\nWhat Segment gets:\n\n"
        '{\n  "userId": "u-81",\n  "event": "Email Opened"\n}\n'
    )


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"not json\\n\n\xff\x1b[2J", "not json\\\\n\n\\xff\\x1b[2J"),
        (b'{"deep": ' * 9_999, '{"deep": ' * 9_999),
        (b"", "-"),
    ],
)
def test_a_body_that_is_not_json_is_shown_to_the_byte(
    app: Flask, store: Store, raw: bytes, shown: str
) -> None:
    put_quarantined(store, "a", raw)
    page = run(app, "events", "a").stdout
    assert page.partition("bytes):\n\n")[2] == f"{shown}\n\nWhat Segment gets:\n\n-\n"


def test_no_event_drives_the_terminal(app: Flask, store: Store) -> None:
    body = json.dumps({"subject": HOSTILE, HOSTILE: 1}, ensure_ascii=False).encode()
    call = json.dumps({"userId": HOSTILE})
    store.put([message(HOSTILE, raw=body, payload=call, collection=HOSTILE, account=HOSTILE)])
    store.put(
        [
            message(
                "a", raw=HOSTILE.encode(), payload=None, errors={"body": [HOSTILE]}, email=HOSTILE
            )
        ]
    )
    for arguments in ([], ["a"], [HOSTILE], ["--json"]):
        shown = run(app, "events", *arguments).stdout
        assert "owned" in shown
        assert all(c.isprintable() for c in shown.replace("\n", "")), arguments


def test_an_unknown_id_is_reported(app: Flask) -> None:
    result = run(app, "events", "drip-0")
    assert result.exit_code == 1
    assert "No event has this message id." in result.stderr


# retry and dismiss


def test_retry_tries_the_dead_again_once_asked(app: Flask, store: Store) -> None:
    bury(store, "a")
    refused = run(app, "retry", "--state", "dead", stdin="n\n")
    assert refused.exit_code == 1
    assert "Received more than 24 hours ago: 1 event. Segment drops repeats for" in refused.stdout
    assert rows(store)["a"].state == "dead"

    result = run(app, "retry", "--state", "dead", stdin="y\n")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "1 event: due now.")
    assert rows(store)["a"].state == "pending"
    assert run(app, "retry", "--state", "dead").stdout == "Nothing to retry.\n"


def test_retry_does_not_warn_of_what_is_fresh(app: Flask, store: Store) -> None:
    bury(store, "a", received_at=time.time())
    done = run(app, "retry", "--state", "dead", "--yes")
    assert done.stdout == "To retry: 1 event.\n1 event: due now.\n"


def test_retry_does_not_wait_for_the_next_try(app: Flask, store: Store) -> None:
    store.put([opened("a", received_at=time.time())])
    lease = claim(store, now=time.time())
    due = {lease.messages[0].id: time.time() + 900}
    reschedule(store, lease, due, Attempt(time.time(), "HTTP 500"))
    done = run(app, "retry", "--state", "pending", "--reason", "500", "--yes")
    assert done.stdout == "To retry: 1 event.\n1 event: due now.\n"
    assert rows(store)["a"].due_at <= time.time()
    assert run(app, "retry", "a").stdout == "Nothing to retry.\n"


def test_a_dry_run_only_counts(app: Flask, store: Store) -> None:
    bury(store, "a", received_at=time.time())
    before = rows(store)
    for which in (["--state", "dead"], ["a"], ["--reason", "400", "--since", "1h"]):
        for verb in ("retry", "dismiss"):
            result = run(app, verb, *which, "--dry-run")
            assert (result.exit_code, result.stdout) == (0, f"To {verb}: 1 event.\n")
    assert rows(store) == before


def test_retry_reads_the_quarantined_again(app: Flask, store: Store) -> None:
    put_quarantined(store, "raw-1", OPENED)
    put_quarantined(store, "raw-2", OPENED + b" ")
    result = run(app, "retry", "--state", "quarantined", "--yes")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "To retry: 2 events.",
        "1 event: due now.",
        "1 event: kept already, so the rejected copy went.",
    ]

    put_quarantined(store, "raw-3", b"[]")
    result = run(app, "retry", "--state", "quarantined", "--yes")
    assert result.exit_code == 1
    assert "1 event: still cannot be read, and stays rejected." in result.stdout


def test_retry_takes_ids_and_reports_those_that_are_unknown(app: Flask, store: Store) -> None:
    bury(store, "a")
    store.put([opened("b")])
    result = run(app, "retry", "a", "b", "c", stdin="y\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == ["c: no event has this id.", "To retry: 1 event."]
    assert result.stdout.endswith("1 event: due now.\n")
    put_quarantined(store, "raw-1", OPENED)
    assert run(app, "retry", "raw-1").stdout == "To retry: 1 event.\n1 event: due now.\n"


def test_dismiss_puts_aside_what_failed_once_asked(app: Flask, store: Store) -> None:
    bury(store, "a")
    bury(store, "b")
    put_quarantined(store, "raw", b"")
    assert run(app, "dismiss", "--state", "dead", stdin="n\n").exit_code == 1
    assert run(app, "events", "--state", "dismissed").stdout == ""

    result = run(app, "dismiss", "--state", "dead", stdin="y\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("To dismiss: 2 events.\n")
    assert result.stdout.endswith("2 events dismissed.\n")
    assert ids(app, "--state", "dismissed") == ["b", "a"]
    assert ids(app, "--state", "dead") == []
    assert run(app, "dismiss", "--state", "dead").stdout == "Nothing to dismiss.\n"

    result = run(app, "dismiss", "raw", "nobody")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "nobody: no event has this id.",
        "To dismiss: 1 event.",
        "1 event dismissed.",
    ]
    run(app, "retry", "--state", "dismissed", "--yes")
    assert ids(app, "--state", "dismissed") == ["raw"]


# erase


def test_erase_asks_and_reports_what_it_erased(app: Flask, store: Store) -> None:
    bury(store, "dead")
    store.put([opened("a"), opened("bo", email="bo@example.com")])

    refused = run(app, "erase", ANA, stdin="n\n")
    assert refused.exit_code == 1
    assert "To erase: 2 (1 dead, 1 pending).\nNot sent yet, and then never to be sent: 1.\n" in (
        refused.stdout
    )
    assert rows(store)["a"].state == "pending"

    result = run(app, "erase", f" {ANA.upper()} ", stdin="y\n")
    assert result.exit_code == 0
    assert result.stdout.endswith("Erased: 2 (1 dead, 1 pending).\n")
    assert "through every event" in result.stderr
    assert {name: row.state for name, row in rows(store).items()} == {
        "dead": "erased",
        "a": "erased",
        "bo": "pending",
    }
    assert "  erased              Email Opened" in run(app, "events", "--state", "erased").stdout
    assert run(app, "events", "a").exit_code == 0

    again = run(app, "erase", ANA)
    assert (again.exit_code, again.stdout) == (0, "No event has this address in it.\n")


def test_an_address_need_not_be_on_the_command_line(app: Flask, store: Store) -> None:
    """Command lines are in histories, lists of processes and platforms' logs."""
    store.put([opened("a"), opened("bo", email="bo@example.com")])
    assert "bo" not in run(app, "events", "--email", stdin=f"{ANA}\n").stdout
    result = run(app, "erase", stdin=f"{ANA}\ny\n")
    assert result.stdout.endswith("Erased: 1 (1 pending).\n")
    assert run(app, "erase", "--yes", stdin="bo@example.com\n").exit_code == 0
    assert {row.state for row in rows(store).values()} == {"erased"}


# prune


def test_prune_removes_by_the_settings(app: Flask, store: Store) -> None:
    for name in ("old", "new"):
        bury(store, name)
    put_quarantined(store, "raw", b"")
    with store.engine.begin() as connection:
        connection.execute(
            update(events).where(events.c.message_id == "new").values(settled_at=9e9)
        )
    refused = run(app, "prune")  # what came last came years ago
    assert refused.exit_code == 1
    assert "--clock-is-right" in refused.stderr
    pruned = run(app, "prune", "--clock-is-right")
    assert pruned.stdout == "Removed: 1 dead, 1 quarantined.\n"
    assert set(rows(store)) == {"new"}
    result = run(app, "prune")
    assert (result.exit_code, result.stdout) == (0, "Nothing was old enough to be removed.\n")


FULL_DISK = {
    "sqlite": (
        (
            "CREATE TRIGGER full_disk BEFORE DELETE ON events"
            " BEGIN SELECT raise(ABORT, 'database or disk is full'); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'could not extend file: No space left on device'; END $$"
        ),
        "CREATE TRIGGER full_disk BEFORE DELETE ON events EXECUTE FUNCTION full_disk()",
    ),
}


def test_prune_on_a_full_disk_reports_what_to_do(app: Flask, store: Store) -> None:
    put_quarantined(store, "raw", b"")
    with store.engine.begin() as connection:
        for statement in FULL_DISK[store.engine.dialect.name]:
            connection.exec_driver_sql(statement)
    result = run(app, "prune", "--clock-is-right")
    assert result.exit_code == 1
    assert result.stderr.endswith("free 10 MB, and run it again\n")


# the database

COMMANDS = (
    ["events"],
    ["events", "an-id"],
    ["retry", "--state", "dead"],
    ["retry", "an-id"],
    ["dismiss", "an-id"],
    ["erase", ANA],
    ["prune"],
)


def test_a_database_at_fault_is_reported_in_a_sentence(
    settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "bridge.db").write_text("this is no database, and long enough to be read as one")
    empty = make_url(postgres_url).set(drivername="postgresql+psycopg")
    nowhere = make_url("postgresql+psycopg://ana:a-password@127.0.0.1:9/bridge")
    for url, words in {
        settings.database_url: "DATABASE_URL: cannot use the file.",
        empty: "Run: flask db upgrade",
        nowhere: "DATABASE_URL: OperationalError: connection failed",
    }.items():
        app = create_app(replace(settings, database_url=url))
        for command in COMMANDS:
            result = run(app, *command)
            assert result.exit_code == 1, command
            assert words in result.stderr
            assert "a-password" not in result.output
        app.extensions["bridge"].close()
