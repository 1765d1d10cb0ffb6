"""The commands: replay, deliver, url, db upgrade."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.engine import URL, make_url

from app import create_app
from app.config.settings import Settings
from app.database.schema import upgrade
from app.database.tables import bodies
from tests.support.bridge_process import ROOT
from tests.support.builders import TOKEN
from tests.support.fake_segment import FakeSegment, Reply
from tests.support.flask_app import rows_of, run
from tests.support.samples import OPENED

SAMPLES = ROOT / "samples"
TEXT = OPENED.decode()


def states_of(app: Flask) -> list[str]:
    return sorted(row.state for row in rows_of(app))


def opened_at(second: int) -> str:
    return json.dumps({**json.loads(TEXT), "occurred_at": f"2026-11-02T09:29:{second:02}Z"})


def test_replay_keeps_the_samples_and_counts_them(app: Flask) -> None:
    result = run(app, "replay", *map(str, SAMPLES.glob("*.json")))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "                      accepted",
        "Email Bounced                1",
        "Email Delivered              1",
        "Email Link Clicked           1",
        "Email Marked as Spam         1",
        "Email Opened                 1",
        "Email Unsubscribed           2",
    ]
    assert states_of(app) == ["pending"] * 7


def test_a_second_replay_finds_duplicates_in_their_collections(app: Flask) -> None:
    run(app, "replay", str(SAMPLES / "opened_email.json"))
    result = run(app, "replay", str(SAMPLES / "opened_email.json"))
    assert result.exit_code == 0
    assert result.stderr.split() == ["duplicate", "Email", "Opened", "1"]
    assert states_of(app) == ["pending"]


def test_replay_reports_file_line_and_reason_of_quarantined(app: Flask, tmp_path: Path) -> None:
    lines = tmp_path / "mixed.jsonl"
    lines.write_text(
        f"{json.dumps(json.loads(TEXT))}\n\nnot json\n" + '{"event": "subscriber.created"}\n'
    )
    result = run(app, "replay", str(lines))
    assert result.exit_code == 1
    assert (
        f"{lines}:3: quarantined: body: Not JSON: Expecting value at line 1, column 1."
        in result.stderr.splitlines()
    )
    assert result.stderr.splitlines()[-3:] == [
        "                 accepted  ignored  quarantined",
        "(no collection)         0        1            1",
        "Email Opened            1        0            0",
    ]
    assert states_of(app) == ["pending", "quarantined"]


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("one.json", TEXT, []),
        ("array.json", f"[{opened_at(1)},\n\n{opened_at(2)}, 7]", [3]),
        ("empty.json", "[]", []),
        ("broken.json", f"[{TEXT}", [1]),
        ("lines.jsonl", f"{opened_at(1)}\n\n[]\n{opened_at(2)}", [3]),
        ("notes.txt", TEXT, None),
    ],
)
def test_replay_reads_each_kind_of_file(
    app: Flask, tmp_path: Path, name: str, content: str, lines: list[int] | None
) -> None:
    """`lines` are those at fault; None where a folder's file is left out."""
    folder = tmp_path / "events" / "deep"
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    result = run(app, "replay", str(tmp_path / "events"))
    found = [line.split(":")[1] for line in result.stderr.splitlines() if "quarantined:" in line]
    assert found == [str(line) for line in lines or []]
    if lines is None:
        assert result.stderr == "No events found.\n"


def test_replay_posts_an_array_s_elements_to_the_byte(app: Flask, tmp_path: Path) -> None:
    element = '{ "event":\t"subscriber.opened_email" , "data": {"n": 1.10}}'
    (tmp_path / "array.json").write_text(f"[ {element} ]")
    run(app, "replay", str(tmp_path / "array.json"))
    with app.extensions["bridge"].engine.connect() as connection:
        assert connection.scalars(select(bodies.c.raw)).all() == [element.encode()]


@pytest.mark.parametrize("content", [TEXT, f"[{TEXT}]", json.dumps(json.loads(TEXT))])
def test_replay_reads_standard_input(app: Flask, content: str) -> None:
    result = run(app, "replay", "-", stdin=content.encode())
    assert (result.exit_code, states_of(app)) == (0, ["pending"])


def test_dry_run_prints_calls_and_keeps_nothing(settings: Settings, tmp_path: Path) -> None:
    app = create_app(settings)
    result = run(app, "replay", "--dry-run", *map(str, sorted(SAMPLES.glob("*.json"))))
    assert result.exit_code == 0
    calls = [json.loads(line) for line in result.stdout.splitlines()]
    expected = json.loads((Path(__file__).parent / "samples_as_calls.json").read_text())
    assert [c["messageId"] for c in calls] == [c["messageId"] for c in expected]
    assert not (tmp_path / "bridge.db").exists()


def test_dry_run_reports_what_would_be_quarantined(app: Flask) -> None:
    result = run(app, "replay", "--dry-run", "-", stdin=b"[1]")
    assert result.exit_code == 1
    assert "-:1: quarantined: body: Not a JSON object." in result.stderr


def test_replay_reports_what_could_not_be_kept(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bridge.db").write_text("this is no database, and long enough to be read as one")
    result = run(create_app(settings), "replay", *map(str, SAMPLES.glob("*.json")))
    assert result.exit_code == 1
    assert "DATABASE_URL: cannot use the file." in result.stderr


def test_deliver_once_sends_what_is_due(
    database_url: URL, settings: Settings, segment: FakeSegment
) -> None:
    app = create_app(replace(settings, database_url=database_url, segment_host=segment.url))
    upgrade(app.extensions["bridge"].engine)
    assert run(app, "deliver", "--once").stdout == "Nothing was due.\n"
    run(app, "replay", *map(str, SAMPLES.glob("*.json")))
    result = run(app, "deliver", "--once")
    assert (result.exit_code, result.stdout) == (0, "7 sent\n")
    assert len(segment.message_ids()) == 7
    app.extensions["bridge"].close()


def test_deliver_once_reports_if_not_all_were_taken(
    settings: Settings, segment: FakeSegment
) -> None:
    segment.behave = lambda _: Reply(status=503)
    app = create_app(replace(settings, segment_host=segment.url))
    run(app, "replay", *map(str, SAMPLES.glob("*.json")))
    result = run(app, "deliver", "--once")
    assert (result.exit_code, result.stdout) == (1, "7 later\n")


def test_commands_refuse_a_schema_that_is_not_theirs(settings: Settings, postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    app = create_app(replace(settings, database_url=url))
    for command in (("deliver", "--once"), ("replay", str(SAMPLES))):
        result = run(app, *command)
        assert result.exit_code == 1
        assert "Run: flask db upgrade" in result.stderr
    assert run(app, "db", "upgrade").exit_code == 0
    assert run(app, "deliver", "--once").exit_code == 0
    app.extensions["bridge"].close()


def test_commands_report_a_database_out_of_reach(settings: Settings) -> None:
    url = make_url("postgresql+psycopg://ana:a-password@127.0.0.1:9/bridge")
    app = create_app(replace(settings, database_url=url))
    for command in (("deliver", "--once"), ("db", "upgrade")):
        result = run(app, *command)
        assert result.exit_code == 1
        assert "DATABASE_URL: OperationalError: connection failed" in result.stderr
        assert "a-password" not in result.output


def test_url_prints_what_to_paste_and_what_to_try(app: Flask) -> None:
    result = run(app, "url", "https://bridge.example.com/")
    webhook = f"https://bridge.example.com/webhooks/drip?token={TOKEN}"
    assert f"\n  {webhook}\n" in result.stdout
    assert f"\n  curl --data-binary @samples/opened_email.json '{webhook}'\n" in result.stdout
    assert "Events go to Segment at http://127.0.0.1:9." in result.stdout


@pytest.mark.parametrize("bind", [("127.0.0.1:9000",), ("[::]:9000",)])
def test_url_without_an_address_is_gunicorns_own(settings: Settings, bind: tuple[str, ...]) -> None:
    app = create_app(replace(settings, bind=bind))
    assert f"\n  http://127.0.0.1:9000/webhooks/drip?token={TOKEN}\n" in run(app, "url").stdout


def test_url_without_an_address_is_the_public_one(settings: Settings) -> None:
    app = create_app(replace(settings, public_url="https://bridge.example.com"))
    printed = run(app, "url").stdout
    assert f"\n  https://bridge.example.com/webhooks/drip?token={TOKEN}\n" in printed
    assert "127.0.0.1:8000" not in printed


def test_url_reports_that_events_are_held_without_a_key(settings: Settings) -> None:
    app = create_app(replace(settings, write_key=None))
    assert "events are kept and held" in run(app, "url").stdout


def test_url_escapes_a_token_for_the_query(settings: Settings) -> None:
    app = create_app(replace(settings, webhook_tokens=("a+b&c#d/e=f secret",)))
    assert "?token=a%2Bb%26c%23d%2Fe%3Df%20secret\n" in run(app, "url").stdout
