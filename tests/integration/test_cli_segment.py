"""The commands for the direction from Segment to Drip: replay, url, drip check."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app.bridge import bridge_of
from app.config.settings import Settings
from tests.support.bridge_process import ROOT
from tests.support.fake_drip_rest import ACCOUNT, TOKEN, FakeDripRest
from tests.support.flask_app import app_over, rows_of, run
from tests.support.samples import OPENED
from tests.support.segment_webhooks import SECRET

SAMPLES = ROOT / "samples"
SEGMENTS = SAMPLES / "segment"


@pytest.fixture
def fake() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake


@pytest.fixture
def both(settings: Settings, fake: FakeDripRest) -> Settings:
    """With the second direction on."""
    return replace(
        settings,
        segment_webhook_secrets=(SECRET,),
        drip_account_id=ACCOUNT,
        drip_api_token=TOKEN,
        drip_api_url=fake.url,
    )


@pytest.fixture
def on(both: Settings) -> Iterator[Flask]:
    with app_over(both) as app:
        yield app


def test_replay_tells_the_sources_apart(on: Flask) -> None:
    result = run(on, "replay", str(SAMPLES))
    assert result.exit_code == 0
    counts = {row.split("  ")[0]: row.split()[-2:] for row in result.stderr.splitlines()[1:]}
    assert counts["identify"] == ["2", "0"]
    assert counts["alias"] == counts["page"] == ["0", "1"]
    destinations = [row.destination for row in rows_of(on)]
    assert (destinations.count("segment"), destinations.count("drip")) == (7, 6)


@pytest.mark.parametrize("kind", ["array", "lines", "one", "wrapped"])
def test_segments_events_are_read_from_files_of_any_shape(
    on: Flask, tmp_path: Path, kind: str
) -> None:
    call = {"type": "track", "event": "A", "messageId": "m", "userId": "ana@example.com"}
    calls = [{**call, "messageId": f"m{n}"} for n in range(3)]
    content = {
        "array": json.dumps(calls),
        "lines": "\n".join(map(json.dumps, calls)),
        "one": json.dumps(calls[0]),
        "wrapped": json.dumps([{"json": each} for each in calls]),
    }[kind]
    path = tmp_path / ("calls.jsonl" if kind == "lines" else "calls.json")
    path.write_text(content)
    assert run(on, "replay", str(path)).exit_code == 0
    ids = [row.message_id for row in rows_of(on)]
    assert ids == (["m0"] if kind == "one" else ["m0", "m1", "m2"])


def test_a_source_that_is_named_decides(on: Flask, tmp_path: Path) -> None:
    path = tmp_path / "opened.json"
    path.write_bytes(OPENED)
    result = run(on, "replay", "--source", "segment", str(path))
    assert result.exit_code == 1
    assert f"{path}:1: quarantined: type: Missing." in result.stderr
    assert [row.destination for row in rows_of(on)] == ["drip"]


def test_events_of_a_direction_that_is_off_are_left_out(app: Flask) -> None:
    result = run(app, "replay", str(SAMPLES))
    assert result.exit_code == 0
    assert "Left out: 7 events of Segment, because SEGMENT_WEBHOOK_SECRET is not" in result.stderr
    assert {row.destination for row in rows_of(app)} == {"segment"}
    assert run(app, "replay", str(SEGMENTS)).exit_code == 1


def test_a_dry_run_prints_the_requests_in_their_order(app: Flask, tmp_path: Path) -> None:
    late = {"type": "track", "event": "Late", "messageId": "m9", "userId": "nobody-knows"}
    path = tmp_path / "late.json"
    path.write_text(json.dumps(late))
    result = run(app, "replay", "--dry-run", str(SEGMENTS / "batch.json"), str(path))
    assert result.exit_code == 0
    requests = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(request["method"] == "POST" for request in requests)
    items = [next(iter(request["body"].values()))[0] for request in requests]
    shown = [
        (request["path"], item.get("action")) for request, item in zip(requests, items, strict=True)
    ]
    people, events = "/v2/ACCOUNT/subscribers", "/v2/ACCOUNT/events"
    assert shown == [
        (people, None),
        (events, "Product Viewed"),
        (people, None),
        (events, "Trial Started"),
    ]
    assert items[0] == {"email": "bo@example.com", "initial_status": "unsubscribed"}
    assert f"{path}:1: waits for an address" in result.stderr
    assert rows_of(app) == []


def test_url_prints_what_to_paste_into_segment(on: Flask) -> None:
    printed = run(on, "url", "https://bridge.example.com/").stdout
    assert f"Shared Secret   {SECRET}\n" in printed
    assert "URL             https://bridge.example.com/webhooks/segment\n" in printed
    assert f"webhooks/segment?token={SECRET}'" in printed


def test_url_prints_what_an_sdk_is_given(both: Settings) -> None:
    keys = {"a-write-key-of-ours": "", "another-write-key": "5150"}
    with app_over(replace(both, segment_webhook_secrets=(), tracking_write_keys=keys)) as app:
        printed = run(app, "url", "https://bridge.example.com/").stdout
    assert "Host        https://bridge.example.com\n" in printed
    assert f"Write key   a-write-key-of-ours   for Drip account {ACCOUNT}\n" in printed
    assert "Write key   another-write-key   for Drip account 5150\n" in printed
    assert "Segment's calls go to Drip at" in printed
    assert "Shared Secret" not in printed


def test_url_says_what_turns_the_direction_on(app: Flask) -> None:
    assert "Segment to Drip is off: it needs SEGMENT_WEBHOOK_SECRET" in run(app, "url").stdout


def check(settings: Settings) -> tuple[int, str]:
    with app_over(settings) as app:
        result = run(app, "drip", "check")
        return result.exit_code, result.output


def test_check_says_of_each_account_whether_its_token_is_good(
    both: Settings, fake: FakeDripRest
) -> None:
    fake.tokens["5150"] = "another-token-0a1b"
    over = replace(both, drip_api_tokens={"5150": "another-token-0a1b", "77": "another-token-0a1b"})
    code, printed = check(over)
    assert code == 1
    assert f"Account {ACCOUNT} (Account {ACCOUNT}): its token is good." in printed
    assert "Account 5150 (Account 5150): its token is good." in printed
    assert "Account 77: its API token is good, but gives no access to this account." in printed
    assert "On Marketing-Email-Only accounts" in printed


def test_check_says_that_a_token_is_not_known(both: Settings) -> None:
    code, printed = check(replace(both, drip_api_token="wrong-token", drip_initial_status="none"))
    assert code == 1
    assert f"Account {ACCOUNT}: Drip does not know this API token." in printed
    assert "wrong-token" not in printed
    assert "Marketing-Email-Only" not in printed


def test_check_says_that_no_account_is_set(both: Settings) -> None:
    code, printed = check(replace(both, drip_api_token=None, drip_account_id=None))
    assert code == 1
    assert "Segment to Drip: no account has an API token." in printed


def test_delivery_once_sends_in_both_directions(on: Flask, fake: FakeDripRest) -> None:
    run(on, "replay", str(SEGMENTS))
    result = run(on, "deliver", "--once")
    assert (result.exit_code, result.stdout) == (0, "5 sent\n")
    assert sorted(fake.people()) == ["ana@example.com", "bo@example.com"]
    assert fake.violations == []
    assert bridge_of(on).segment_to_drip is not None


def test_what_is_left_of_drips_limits_is_served_and_shown(on: Flask) -> None:
    run(on, "replay", str(SEGMENTS / "identify.json"))
    run(on, "deliver", "--once")
    metrics = on.test_client().get("/metrics").text
    assert 'bridge_requests_left{bucket="requests",destination="drip"} 3599.0' in metrics
    assert 'bridge_requests_left{bucket="batches",destination="drip"} 50.0' in metrics
