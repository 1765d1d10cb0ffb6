"""`replay` of Segment's events: how they stand in files, and what a dry run says of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.bridge import bridge_of
from app.config.settings import Settings
from app.database.tables import bodies
from tests.support.flask_app import app_over, rows_of, run
from tests.support.segment_webhooks import SECRET, call


@pytest.fixture
def on(settings: Settings) -> Iterator[Flask]:
    with app_over(replace(settings, segment_webhook_secrets=(SECRET,))) as app:
        yield app


def seen(anonymous_id: str, message_id: str = "m1") -> dict[str, Any]:
    """A track call of a browser that has not told who uses it."""
    known = {"messageId": message_id, "anonymousId": anonymous_id}
    return {"type": "track", "event": "Product Viewed", **known}


def dry_run(app: Flask, *calls: bytes | dict[str, Any]) -> Result:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in calls]
    return run(app, "replay", "--dry-run", "-", stdin=b"\n".join(lines))


def table(result: Result) -> dict[str, dict[str, int]]:
    """Collection → status → count, of what is not 0."""
    lines = result.stderr.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("   "))
    statuses, *rows = (re.split(" {2,}", line.strip()) for line in lines[first:])
    return {
        collection: {status: int(n) for status, n in zip(statuses, numbers, strict=True) if int(n)}
        for collection, *numbers in rows
    }


def shown(result: Result) -> list[tuple[str, str]]:
    """Of each request that is printed, its kind and whose it is."""
    requests = [json.loads(line) for line in result.stdout.splitlines()]
    return [
        (kind, items[0]["email"].partition("@")[0])
        for request in requests
        for kind, items in request["body"].items()
    ]


# how events stand in files


@pytest.mark.parametrize("name", ["calls.json", "calls.log"])
def test_lines_of_json_are_read_from_a_file_of_any_name(
    on: Flask, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(call("ana") + b"\n\n" + call("bo") + b"\nno JSON\n")
    result = run(on, "replay", str(path))
    assert [row.message_id for row in rows_of(on)][:2] == ["ana", "bo"]
    assert f"{path}:4: quarantined: body: Not JSON" in result.stderr


def test_a_line_may_be_a_batch(on: Flask, tmp_path: Path) -> None:
    path = tmp_path / "batches.jsonl"
    path.write_bytes(b"\n".join([b"[%s,%s]" % (call("a"), call("b")), call("c"), b"[ 7 ]"]))
    result = run(on, "replay", str(path))
    assert [row.message_id for row in rows_of(on)][:3] == ["a", "b", "c"]
    assert f"{path}:3: quarantined: body: Not a JSON object." in result.stderr


def test_letters_that_are_not_utf_8_cost_their_own_event_alone(on: Flask, tmp_path: Path) -> None:
    broken = call("bo").replace(b"pro", b"\xff")
    path = tmp_path / "array.json"
    path.write_bytes(b"[%s,\n%s]" % (call("ana"), broken))
    result = run(on, "replay", str(path))
    assert f"{path}:2: quarantined: body: Not text in UTF-8, UTF-16 or UTF-32.\n" in result.stderr
    assert [row.state for row in rows_of(on)] == ["pending", "quarantined"]
    with bridge_of(on).engine.connect() as connection:
        assert connection.scalars(select(bodies.c.raw)).all() == [call("ana"), broken]


def test_events_that_are_wrapped_are_told_apart_too(on: Flask, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(b'{"json": %s}' % call("ana"))
    assert run(on, "replay", str(path)).exit_code == 0
    assert [row.message_id for row in rows_of(on)] == ["ana"]


def test_a_number_of_any_length_is_no_matter_for_telling_apart(on: Flask, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(call("ana").replace(b'"pro"', b"9" * 5000))
    run(on, "replay", str(path))
    assert {row.destination for row in rows_of(on)} == {"drip"}


def test_a_named_source_whose_direction_is_off_is_a_fault(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(call("ana"))
    result = run(app, "replay", "--source", "segment", str(path))
    assert result.exit_code == 1
    assert "because SEGMENT_WEBHOOK_SECRET is not set" in result.stderr
    assert rows_of(app) == []


# dry runs


def test_what_waited_for_a_while_is_counted_as_translated(app: Flask) -> None:
    result = dry_run(app, seen("a1"), seen("a2", "m2"), call("ana", anonymousId="a1"))
    assert table(result) == {
        "identify": {"translated": 1},
        "track": {"translated": 1, "waits for an address": 1},
    }
    assert "-:2: waits for an address\n" in result.stderr
    assert "-:1: " not in result.stderr
    assert shown(result) == [("subscribers", "ana"), ("events", "ana"), ("subscribers", "ana")]


def test_events_of_one_line_are_told_apart(app: Flask) -> None:
    both = json.dumps([seen("a1"), seen("a2", "m2"), json.loads(call("ana"))]).encode()
    result = dry_run(app, both)
    assert "-:1: 2 events wait for an address\n" in result.stderr
    assert table(result)["identify"] == {"translated": 1}
    assert shown(result) == [("subscribers", "ana")]


def test_events_that_waited_keep_their_order(app: Flask) -> None:
    calls = [seen("a1", f"m{n}") | {"event": f"Step {n}"} for n in range(12)]
    alias = {"type": "alias", "messageId": "al", "previousId": "a1", "userId": "u1"}
    result = dry_run(app, *calls, call("ana", userId="u1"), alias)
    requests = [json.loads(line)["body"] for line in result.stdout.splitlines()]
    actions = [body["events"][0]["action"] for body in requests if "events" in body]
    assert actions == [f"Step {n}" for n in range(12)]
    assert table(result)["alias"] == {"ignored": 1}


def test_a_call_that_comes_again_is_sent_once(app: Flask) -> None:
    result = dry_run(app, call("ana"), call("bo"), call("ana"))
    assert table(result) == {"identify": {"translated": 2, "duplicate": 1}}
    assert shown(result) == [("subscribers", "ana"), ("subscribers", "bo")]


def test_a_campaign_waits_with_its_identify(settings: Settings) -> None:
    nameless = json.loads(call("ana", userId="u1"))
    del nameless["traits"]["email"]
    with app_over(replace(settings, drip_campaign_id="4", drip_account_id="77")) as app:
        waits = dry_run(app, nameless)
        assert waits.stderr.count("waits for an address") == 1 + 1  # with that of the table
        assert table(waits) == {"identify": {"waits for an address": 1}}
        sent = dry_run(app, nameless, call("bo", userId="u1"))
    paths = [json.loads(line)["path"] for line in sent.stdout.splitlines()]
    assert sorted(paths) == ["/v2/77/campaigns/4/subscribers", *["/v2/77/subscribers"] * 2]


def test_who_changes_the_address_joins_the_campaign_with_the_new_one(settings: Settings) -> None:
    change = call("ana", traits={"email": "ana@example.com", "new_email": "Bo@example.com"})
    with app_over(replace(settings, drip_campaign_id="4")) as app:
        result = dry_run(app, change)
    # for the old address, Drip would make a second person
    assert shown(result) == [("subscribers", "ana"), ("subscribers", "bo")]
    assert "/campaigns/4/" in result.stdout.splitlines()[-1]


def test_each_fault_of_a_dry_run_is_named(app: Flask) -> None:
    result = dry_run(app, call("ana"), call("bo", type="track"), call("bo", type="track"))
    assert result.exit_code == 1
    for line in (2, 3):
        assert f"-:{line}: quarantined: event: " in result.stderr
    assert table(result) == {
        "identify": {"translated": 1},
        "(no collection)": {"quarantined": 2},
    }
