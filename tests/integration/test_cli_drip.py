"""Drip's REST client, and `drip connect`, `check` and `disconnect` over a stand-in for Drip."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy.engine import URL

from app import create_app
from app.config.settings import Settings
from app.database.engine import reader
from app.database.schema import upgrade
from app.drip_to_segment.webhook_setup import RECEIVED, token_in
from app.outbox.latest import last_received
from app.outbox.store import Store
from tests.support.builders import message
from tests.support.drip_account import (
    BASE,
    CREATE,
    EVENTS,
    LIST,
    MASKED,
    OLDER,
    TOKEN,
    UNKNOWN,
    URL_WITH_TOKEN,
    run_drip,
    with_account,
)
from tests.support.fake_drip import ACCOUNT, WEBHOOKS, Answer, FakeDrip, Visit
from tests.support.flask_app import app_over


@pytest.fixture
def settings(settings: Settings, drip: FakeDrip) -> Settings:
    return with_account(settings, drip.url)


# connect


def test_connect_creates_a_webhook_for_the_email_events_alone(app: Flask, drip: FakeDrip) -> None:
    result = run_drip(app, "connect", BASE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Webhook 77001 ({MASKED}) is created: all 7 email events.\n"
    assert [visit.line for visit in drip.visits] == [LIST, CREATE]
    assert drip.visits[1].body == {
        "webhooks": [
            {"post_url": URL_WITH_TOKEN, "include_received_email": True, "events": list(EVENTS)}
        ]
    }


def test_connect_uses_the_accounts_own_token(settings: Settings, drip: FakeDrip) -> None:
    own = {"token-of-another-one": "4417", "token-of-the-account": ACCOUNT}
    app = create_app(replace(settings, account_tokens=own))
    assert run_drip(app, "connect", BASE).exit_code == 0
    assert [token_in(webhook["post_url"]) for webhook in drip.webhooks] == ["token-of-the-account"]
    assert run_drip(app, "check", BASE).exit_code == 0


def test_connect_prints_what_flask_url_prints(app: Flask, drip: FakeDrip) -> None:
    run_drip(app, "connect", f"{BASE}/")
    printed = app.test_cli_runner().invoke(args=("url", BASE)).stdout
    assert f"\n  {drip.webhooks[0]['post_url']}\n" in printed


@pytest.mark.parametrize("more", [(), ("--replace",)])
def test_connect_run_again_changes_nothing_and_reports_it(
    app: Flask, drip: FakeDrip, more: tuple[str, ...]
) -> None:
    run_drip(app, "connect", BASE)
    before = list(drip.webhooks)
    result = run_drip(app, "connect", BASE, *more)
    assert result.exit_code == 0
    assert result.stdout == (
        f"Webhook 77001 ({MASKED}) is there already, and as it should be. It was left alone.\n"
    )
    assert (drip.webhooks, drip.changes()) == (before, [CREATE])


BASIC = f"https://drip:{quote(TOKEN, safe='')}@{BASE.removeprefix('https://')}/webhooks/drip"


def test_connect_can_leave_the_query_without_a_token(app: Flask, drip: FakeDrip) -> None:
    result = run_drip(app, "connect", BASE, "--basic")
    assert result.exit_code == 0
    assert result.stdout == (
        f"Webhook 77001 ({BASE}/webhooks/drip) is created: all 7 email events.\n"
    )
    assert "is not documented: open a mail of yours, and see that it comes" in result.stderr
    assert [webhook["post_url"] for webhook in drip.webhooks] == [BASIC]
    assert BASIC in app.test_cli_runner().invoke(args=("url", BASE)).stdout
    # any of these takes it as it is
    for command in (("connect", BASE, "--basic"), ("connect", BASE), ("check",), ("check", BASE)):
        assert "as it should be" in run_drip(app, *command).stdout
    assert drip.changes() == [CREATE]


def test_connect_moves_the_token_out_of_the_query_if_asked(app: Flask, drip: FakeDrip) -> None:
    run_drip(app, "connect", BASE)
    refused = run_drip(app, "connect", BASE, "--basic")
    assert refused.exit_code == 1
    assert "Its token is in the query of its URL, which proxies log." in refused.stderr
    assert f"drip connect {BASE} --basic --replace" in refused.stderr
    assert run_drip(app, "connect", BASE, "--basic", "--replace").exit_code == 0
    assert [webhook["post_url"] for webhook in drip.webhooks] == [BASIC]


DIFFERENT = [
    pytest.param(
        {"events": EVENTS[:-2]},
        "It leaves out subscriber.bounced, subscriber.complained.",
        id="fewer events",
    ),
    pytest.param(
        {"events": (*EVENTS, "subscriber.deleted", "subscriber.created")},
        "It posts what the bridge ignores: subscriber.created, subscriber.deleted.",
        id="more events",
    ),
    pytest.param(
        {"include_received_email": False},
        f"It is without include_received_email: Drip leaves out {RECEIVED}.",
        id="no received_email",
    ),
    pytest.param(
        {"post_url": f"{BASE}/webhooks/drip?token={OLDER}"},
        "Its token is not the first of DRIP_WEBHOOK_TOKEN",
        id="token being rotated out",
    ),
    pytest.param(
        {"post_url": f"{BASE}/webhooks/drip?token={UNKNOWN}"},
        "Its token is not in DRIP_WEBHOOK_TOKEN",
        id="token rotated out",
    ),
    pytest.param(
        {"post_url": f"{BASE}/webhooks/drip"}, "It carries no token", id="no token at all"
    ),
    pytest.param(
        {"post_url": URL_WITH_TOKEN.replace("/drip?", "/drop?")},
        f"It posts to {MASKED.replace('/drip?', '/drop?')}, not to the bridge at {BASE}.",
        id="another path",
    ),
    pytest.param(
        {"post_url": URL_WITH_TOKEN.replace("my-bridge", "old-bridge")},
        f"It posts to {MASKED.replace('my-bridge', 'old-bridge')}, not to the bridge at {BASE}.",
        id="our token, another host",
    ),
    pytest.param(
        {"post_url": URL_WITH_TOKEN.replace("https:", "http:")},
        f"It posts to {MASKED.replace('https:', 'http:')}, not to the bridge at {BASE}.",
        id="http",
    ),
]


@pytest.mark.parametrize(("kwargs", "said"), DIFFERENT)
def test_connect_reports_what_differs_and_changes_nothing(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run_drip(app, "connect", BASE)
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    name, fault, remedy = result.stderr.splitlines()
    assert name.startswith("Webhook 77001 (http")
    assert fault.startswith(f"  {said}")
    assert remedy.endswith(f": flask drip connect {BASE} --replace")


@pytest.mark.parametrize(("kwargs", "said"), DIFFERENT)
def test_replace_creates_the_new_one_before_it_deletes(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    old = drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run_drip(app, "connect", BASE, "--replace")
    assert (result.exit_code, result.stderr) == (0, ""), said
    assert drip.changes() == [CREATE, f"DELETE {WEBHOOKS}/{old}"]
    assert run_drip(app, "check", BASE).exit_code == 0
    assert [line.rpartition(" is ")[2] for line in result.stdout.splitlines()] == [
        "created: all 7 email events.",
        "deleted.",
    ]


def test_all_that_differs_is_reported_at_once(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip/?token={OLDER}", ["subscriber.created"], False)
    result = run_drip(app, "connect", BASE)
    assert len(result.stderr.splitlines()) == 1 + 4 + 1


def test_connect_never_touches_the_webhooks_of_others(app: Flask, drip: FakeDrip) -> None:
    others = [
        drip.add(f"https://other.example.com/webhooks/drip?token={UNKNOWN}", EVENTS),
        drip.add(f"{BASE}/webhooks/other?token={UNKNOWN}", EVENTS),
        drip.add(f"{BASE}:8443/webhooks/drip?token={UNKNOWN}", EVENTS),
        drip.add(f"http://my-bridge.example.com/webhooks/drip?token={UNKNOWN}", EVENTS),
        drip.add("https://[not-a-url/webhooks/drip"),
        drip.add("https://other.example.com"),
    ]
    drip.webhooks[-1].update(post_url=None, events=None, include_received_email=None)
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [CREATE]
    assert run_drip(app, "check").exit_code == 0
    assert run_drip(app, "disconnect", "--yes").exit_code == 0
    assert drip.ids() == others


def test_connect_reports_several_webhooks_of_one_bridge(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    result = run_drip(app, "connect", BASE)
    assert (result.exit_code, drip.changes()) == (1, [])
    lines = result.stderr.splitlines()
    assert lines[:3] == [
        f"Webhook 77001 ({MASKED}):",
        "  It is as it should be.",
        f"Webhook 77002 ({MASKED}):",
    ]
    assert lines[4].startswith("These are 2 webhooks for one bridge: events come more than once")


def test_replace_leaves_the_one_that_is_as_it_should_be(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.add(URL_WITH_TOKEN, EVENTS)
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [f"DELETE {WEBHOOKS}/77001", f"DELETE {WEBHOOKS}/77003"]
    assert drip.ids() == ["77002"]


def test_replace_puts_one_in_place_of_several(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [
        CREATE,
        f"DELETE {WEBHOOKS}/77001",
        f"DELETE {WEBHOOKS}/77002",
    ]
    assert drip.ids() == ["77003"]


def test_a_failed_delete_is_reported_and_done_by_the_next_run(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    drip.behave = lambda visit: Answer(503) if visit.line.endswith("/77001") else None
    result = run_drip(app, "connect", BASE, "--replace")
    assert result.exit_code == 1
    assert drip.ids() == ["77001", "77003"]
    assert result.stderr == (
        f"Error: Webhook 77001 ({MASKED}) is not deleted: Drip is out of order (HTTP 503). "
        "Whether the webhook was deleted is not known.\n"
        "The webhook for this bridge is at work. Until the rest is deleted, events come more than "
        f"once, and are kept once. Run again: flask drip connect {BASE} --replace\n"
    )
    drip.behave = lambda _: None
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.ids() == ["77003"]


def test_nothing_is_deleted_if_the_new_one_is_not_created(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    drip.behave = lambda visit: Answer(500) if visit.line == CREATE else None
    result = run_drip(app, "connect", BASE, "--replace")
    assert result.exit_code == 1
    assert "Whether the webhook was created is not known. Run the command again" in result.stderr
    assert (drip.ids(), drip.changes()) == (["77001"], [CREATE])


def test_nothing_is_deleted_if_drip_creates_another_one(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)

    def forgetful(visit: Visit) -> None:
        if visit.line == CREATE:
            visit.body["webhooks"][0]["include_received_email"] = False

    drip.behave = forgetful
    result = run_drip(app, "connect", BASE, "--replace")
    assert result.exit_code == 1
    assert "Drip made it otherwise than asked. It is without include_received_email" in (
        result.stderr
    )
    assert drip.ids() == ["77001", "77002"]


def test_a_webhook_that_somebody_deleted_meanwhile_is_deleted(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)

    def other_hand(visit: Visit) -> None:
        if visit.line.startswith("DELETE"):
            drip.webhooks.pop(0)

    drip.behave = other_hand
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.ids() == ["77002"]


@pytest.mark.parametrize(
    "base",
    [
        *("http://my-bridge.example.com", "my-bridge.example.com", "ftp://my-bridge.example.com"),
        *(f"{BASE}/bridge", f"{BASE}?token={TOKEN}", URL_WITH_TOKEN, f"{BASE}:0", f"{BASE}:x"),
        *(f"https://ana:{TOKEN}@my-bridge.example.com", "https://", "", "https://[::1"),
    ],
)
@pytest.mark.parametrize("command", ["connect", "check", "disconnect"])
def test_an_address_that_is_no_base_url_is_refused(
    app: Flask, drip: FakeDrip, command: str, base: str
) -> None:
    result = run_drip(app, command, base)
    assert result.exit_code == 2
    assert "must be https:// and a host alone" in result.stderr
    assert drip.visits == []


@pytest.mark.parametrize(
    "base",
    [
        *("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"),
        *("https://10.0.0.7", "https://192.168.1.20:8443", "https://[fd00::7]"),
        *("https://bridge", "https://bridge.local", "https://bridge.internal"),
    ],
)
def test_connect_refuses_an_address_that_drip_cannot_reach(
    app: Flask, drip: FakeDrip, base: str
) -> None:
    result = run_drip(app, "connect", base)
    assert result.exit_code == 2
    assert f"Drip cannot reach {base}: it is an address of this machine" in result.stderr
    assert drip.visits == []


def test_connect_without_an_address_takes_the_public_url(
    settings: Settings, drip: FakeDrip
) -> None:
    with app_over(replace(settings, public_url=BASE)) as app:
        assert run_drip(app, "connect").exit_code == 0
    assert drip.webhooks[0]["post_url"].startswith(f"{BASE}/webhooks/drip?token=")


def test_connect_without_any_address_asks_for_one(app: Flask, drip: FakeDrip) -> None:
    result = run_drip(app, "connect")
    assert result.exit_code == 2
    assert "or set PUBLIC_URL" in result.stderr
    assert drip.visits == []


# check


def test_check_reports_that_all_is_well_and_what_is_unknown(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    for arguments in ((), (BASE,)):
        result = run_drip(app, "check", *arguments)
        assert (result.exit_code, result.stderr, drip.changes()) == (0, "", [])
        assert result.stdout.startswith(
            f"Webhook 77001 ({MASKED}) is as it should be: all 7 email events.\n"
            "Whether it is switched on, Drip does not tell. It switches one off after 3 days of "
            "errors, and notifies the account's owner.\n"
        )


def test_received_email_is_sent_if_the_flag_is_set(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, [event for event in EVENTS if event != RECEIVED])
    assert run_drip(app, "check").exit_code == 0


def test_check_reports_when_the_last_event_came(app: Flask, drip: FakeDrip, tmp_path: Path) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    (tmp_path / "bridge.db").unlink()
    assert "When the last event came is not known. DATABASE_URL: " in run_drip(app, "check").stdout
    store = app.extensions["bridge"].drip_to_segment.store
    upgrade(store.engine)
    assert "No event is kept at the moment" in run_drip(app, "check").stdout
    at = datetime(2026, 11, 2, 9, 29, tzinfo=UTC).timestamp()
    store.put([message("drip-1", account=ACCOUNT, received_at=at)])
    lines = run_drip(app, "check").stdout.splitlines()
    assert lines[-1] == "The last event that is kept came at 2026-11-02 09:29 UTC."


def last_received_of(store: Store) -> float | None:
    with reader(store.engine) as connection:
        return last_received(connection, "segment")


def test_the_last_event_is_the_newest_on_both_engines(
    settings: Settings, database_url: URL
) -> None:
    store = (
        create_app(replace(settings, database_url=database_url))
        .extensions["bridge"]
        .drip_to_segment.store
    )
    upgrade(store.engine)
    assert last_received_of(store) is None
    for at in (7.5, 8.25):
        store.put([message(f"drip-{at}", account=ACCOUNT, received_at=at)])
    assert last_received_of(store) == 8.25
    store.engine.dispose()


@pytest.mark.parametrize("arguments", [(), (BASE,)])
def test_check_reports_that_there_is_none(
    app: Flask, drip: FakeDrip, arguments: tuple[str, ...]
) -> None:
    drip.add(f"https://other.example.com/webhooks/drip?token={UNKNOWN}", EVENTS)
    result = run_drip(app, "check", *arguments)
    base = arguments[0] if arguments else "BASE_URL"
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    assert result.stderr.splitlines()[:2] == [
        f"Account {ACCOUNT} has no webhook for this bridge.",
        f"To create it: flask drip connect {base}",
    ]
    assert ("is found by its address" in result.stderr) is not bool(arguments)


@pytest.mark.parametrize(("kwargs", "said"), DIFFERENT)
def test_check_reports_what_differs(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run_drip(app, "check", BASE)
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    assert said in result.stderr
    assert f"flask drip connect {BASE} --replace" in result.stderr


def test_check_without_an_address_takes_any_host_not_any_path(app: Flask, drip: FakeDrip) -> None:
    drip.add("https://elsewhere.example.com" + URL_WITH_TOKEN.removeprefix(BASE), EVENTS)
    assert run_drip(app, "check").exit_code == 0
    drip.webhooks[0]["post_url"] = f"{BASE}/drip?token={quote(TOKEN, safe='')}"
    result = run_drip(app, "check")
    assert result.exit_code == 1
    assert "Its path is not /webhooks/drip" in result.stderr
    assert "connect BASE_URL --replace" in result.stderr


def test_check_reports_that_there_are_several(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.add(URL_WITH_TOKEN, EVENTS)
    result = run_drip(app, "check")
    assert result.exit_code == 1
    assert "These are 2 webhooks for one bridge" in result.stderr


# disconnect


def test_disconnect_asks_and_deletes_what_carries_our_tokens(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    other = drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"https://ana:{quote(OLDER)}@old.example.com/webhooks/drip", EVENTS)
    result = run_drip(app, "disconnect", stdin="y\n")
    assert result.exit_code == 0
    assert drip.ids() == [other]
    assert f"Webhook 77001 ({MASKED}) is deleted.\n" in result.stdout
    assert "Webhook 77003 (https://old.example.com/webhooks/drip) is deleted.\n" in result.stdout


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_disconnect_deletes_nothing_without_a_yes(app: Flask, drip: FakeDrip, answer: str) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    result = run_drip(app, "disconnect", stdin=answer)
    assert (result.exit_code, drip.changes()) == (1, [])
    assert f"Webhook 77001 ({MASKED})\n" in result.stdout


def test_disconnect_deletes_only_what_leads_to_the_address(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE.upper()}:443/webhooks/drip/?token={UNKNOWN}", EVENTS)
    other = drip.add("https://new.example.com" + URL_WITH_TOKEN.removeprefix(BASE), EVENTS)
    assert run_drip(app, "disconnect", BASE, "--yes").exit_code == 0
    assert drip.ids() == [other]


@pytest.mark.parametrize("arguments", [(), (BASE,)])
def test_disconnect_reports_that_there_is_nothing(
    app: Flask, drip: FakeDrip, arguments: tuple[str, ...]
) -> None:
    result = run_drip(app, "disconnect", *arguments)
    assert (result.exit_code, drip.changes()) == (0, [])
    where = f"leads to {BASE}" if arguments else "has a token of this bridge"
    assert result.stdout == f"Nothing to delete: no webhook of account {ACCOUNT} {where}.\n"


def test_disconnect_names_what_could_not_be_deleted(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.behave = lambda visit: Answer(429) if visit.line.startswith("DELETE") else None
    result = run_drip(app, "disconnect", "--yes")
    assert result.exit_code == 1
    assert f"Error: Webhook 77001 ({MASKED}) is not deleted: Drip takes no more" in result.stderr
    assert result.stderr.endswith("\nRun the command again.\n")


# settings


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"drip_api_token": None}, ["DRIP_API_TOKEN"]),
        ({"drip_account_id": None}, ["DRIP_ACCOUNT_ID"]),
        ({"drip_api_token": None, "drip_account_id": None}, ["DRIP_API_TOKEN", "DRIP_ACCOUNT_ID"]),
    ],
)
@pytest.mark.parametrize("command", [("connect", BASE), ("check",), ("disconnect", "--yes")])
def test_missing_settings_are_reported_together(
    settings: Settings,
    drip: FakeDrip,
    command: tuple[str, ...],
    missing: dict[str, Any],
    named: list[str],
) -> None:
    result = run_drip(create_app(replace(settings, **missing)), *command)
    assert (result.exit_code, drip.visits) == (1, [])
    assert [line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]] == named
    assert result.stderr.count("https://www.getdrip.com/") == len(named)


def test_the_commands_are_found_by_their_names(app: Flask) -> None:
    result = run_drip(app, "--help")
    for name in ("connect", "check", "disconnect"):
        assert f"\n  {name} " in result.stdout


def test_check_is_content_with_a_slash_at_the_end(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN.replace("/drip?", "/drip/?"), EVENTS)
    assert run_drip(app, "check").exit_code == 0
