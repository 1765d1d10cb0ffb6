"""Drip's REST client, and `drip connect`, `check` and `disconnect` over a stand-in for Drip."""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy.engine import URL

from app import create_app
from app.cli import drip as commands
from app.clients import drip as client
from app.clients.drip import Drip, DripError
from app.config.settings import Settings
from app.database.schema import upgrade
from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.webhook_setup import RECEIVED, leads_to, masked, token_in
from app.outbox.messages import Message
from app.outbox.traffic import last_received
from app.version import VERSION
from tests.fake_drip import ACCOUNT, API_TOKEN, WEBHOOKS, Answer, FakeDrip, Visit, refusal

BASE = "https://my-bridge.example.com"
TOKEN = "first-token/of+the bridge"
OLDER = "older-token-of-the-bridge"
UNKNOWN = "a-token-long-taken-out"
EVENTS = tuple(COLLECTIONS)

URL_WITH_TOKEN = f"{BASE}/webhooks/drip?token={quote(TOKEN, safe='')}"
MASKED = f"{BASE}/webhooks/drip?token=…"

SECRETS = (
    *(API_TOKEN, b64encode(f"{API_TOKEN}:".encode()).decode()),
    *(TOKEN, quote(TOKEN, safe=""), OLDER, UNKNOWN),
)

LIST, CREATE = f"GET {WEBHOOKS}", f"POST {WEBHOOKS}"


@pytest.fixture
def drip(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDrip]:
    """Where the commands find Drip's API."""
    with FakeDrip() as fake:
        monkeypatch.setattr(commands, "API", fake.url)
        yield fake


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(
        settings,
        webhook_tokens=(TOKEN, OLDER),
        drip_api_token=API_TOKEN,
        drip_account_id=ACCOUNT,
    )


@pytest.fixture
def api(drip: FakeDrip) -> Drip:
    return Drip(ACCOUNT, API_TOKEN, (TOKEN,), drip.url)


def run(app: Flask, *arguments: str, stdin: str = "") -> Result:
    """No secret shows, and what failed ended in words, not in a traceback."""
    result = app.test_cli_runner().invoke(args=("drip", *arguments), input=stdin)
    for secret in SECRETS:
        assert secret not in result.output
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(DripError) as caught:
        call()
    for secret in SECRETS:
        assert secret not in repr(caught.value)
    return str(caught.value)


# connect


def test_connect_creates_the_webhook_for_exactly_the_email_events(
    app: Flask, drip: FakeDrip
) -> None:
    result = run(app, "connect", BASE)
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
    assert run(app, "connect", BASE).exit_code == 0
    assert [token_in(webhook["post_url"]) for webhook in drip.webhooks] == ["token-of-the-account"]
    assert run(app, "check", BASE).exit_code == 0


def test_connect_prints_what_flask_url_prints(app: Flask, drip: FakeDrip) -> None:
    run(app, "connect", f"{BASE}/")
    printed = app.test_cli_runner().invoke(args=("url", BASE)).stdout
    assert f"\n  {drip.webhooks[0]['post_url']}\n" in printed


@pytest.mark.parametrize("more", [(), ("--replace",)])
def test_connect_run_again_changes_nothing_and_says_so(
    app: Flask, drip: FakeDrip, more: tuple[str, ...]
) -> None:
    run(app, "connect", BASE)
    before = list(drip.webhooks)
    result = run(app, "connect", BASE, *more)
    assert result.exit_code == 0
    assert result.stdout == (
        f"Webhook 77001 ({MASKED}) is there already, and as it should be. It was left alone.\n"
    )
    assert (drip.webhooks, drip.changes()) == (before, [CREATE])


BASIC = f"https://drip:{quote(TOKEN, safe='')}@{BASE.removeprefix('https://')}/webhooks/drip"


def test_connect_can_leave_the_query_without_a_token(app: Flask, drip: FakeDrip) -> None:
    result = run(app, "connect", BASE, "--basic")
    assert result.exit_code == 0
    assert result.stdout == (
        f"Webhook 77001 ({BASE}/webhooks/drip) is created: all 7 email events.\n"
    )
    assert "is not documented: open a mail of yours, and see that it comes" in result.stderr
    assert [webhook["post_url"] for webhook in drip.webhooks] == [BASIC]
    assert BASIC in app.test_cli_runner().invoke(args=("url", BASE)).stdout
    # any of these takes it as it is
    for command in (("connect", BASE, "--basic"), ("connect", BASE), ("check",), ("check", BASE)):
        assert "as it should be" in run(app, *command).stdout
    assert drip.changes() == [CREATE]


def test_connect_moves_the_token_out_of_the_query_when_told_to(app: Flask, drip: FakeDrip) -> None:
    run(app, "connect", BASE)
    refused = run(app, "connect", BASE, "--basic")
    assert refused.exit_code == 1
    assert "Its token is in the query of its URL, which proxies log." in refused.stderr
    assert f"drip connect {BASE} --basic --replace" in refused.stderr
    assert run(app, "connect", BASE, "--basic", "--replace").exit_code == 0
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
        {"post_url": URL_WITH_TOKEN.replace("/drip?", "/drip/?")},
        "Its path is not /webhooks/drip to the letter: the bridge answers 404 there.",
        id="slash at the end",
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
def test_connect_says_what_differs_and_changes_nothing(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run(app, "connect", BASE)
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    name, fault, remedy = result.stderr.splitlines()
    assert name.startswith("Webhook 77001 (http")
    assert fault.startswith(f"  {said}")
    assert remedy.endswith(f": flask --app wsgi drip connect {BASE} --replace")


@pytest.mark.parametrize(("kwargs", "said"), DIFFERENT)
def test_replace_creates_the_new_one_first_and_deletes_the_old_one_then(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    old = drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run(app, "connect", BASE, "--replace")
    assert (result.exit_code, result.stderr) == (0, ""), said
    assert drip.changes() == [CREATE, f"DELETE {WEBHOOKS}/{old}"]
    assert run(app, "check", BASE).exit_code == 0
    assert [line.rpartition(" is ")[2] for line in result.stdout.splitlines()] == [
        "created: all 7 email events.",
        "deleted.",
    ]


def test_all_that_differs_is_told_at_once(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip/?token={OLDER}", ["subscriber.created"], False)
    result = run(app, "connect", BASE)
    assert len(result.stderr.splitlines()) == 1 + 5 + 1


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
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [CREATE]
    assert run(app, "check").exit_code == 0
    assert run(app, "disconnect", "--yes").exit_code == 0
    assert drip.ids() == others


def test_connect_says_that_several_webhooks_lead_to_one_bridge(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    result = run(app, "connect", BASE)
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
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [f"DELETE {WEBHOOKS}/77001", f"DELETE {WEBHOOKS}/77003"]
    assert drip.ids() == ["77002"]


def test_replace_puts_one_in_place_of_several(app: Flask, drip: FakeDrip) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.changes() == [
        CREATE,
        f"DELETE {WEBHOOKS}/77001",
        f"DELETE {WEBHOOKS}/77002",
    ]
    assert drip.ids() == ["77003"]


def test_a_failed_delete_says_what_remains_and_the_next_run_does_it(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    drip.behave = lambda visit: Answer(503) if visit.line.endswith("/77001") else None
    result = run(app, "connect", BASE, "--replace")
    assert result.exit_code == 1
    assert drip.ids() == ["77001", "77003"]
    assert result.stderr == (
        f"Error: Webhook 77001 ({MASKED}) is not deleted: Drip is out of order (HTTP 503). "
        "Whether the webhook was deleted is not known.\n"
        "The webhook for this bridge is at work. Until the rest is deleted, events come more than "
        f"once, and are kept once. Run again: flask --app wsgi drip connect {BASE} --replace\n"
    )
    drip.behave = lambda _: None
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert drip.ids() == ["77003"]


def test_nothing_is_deleted_where_the_new_one_could_not_be_created(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    drip.behave = lambda visit: Answer(500) if visit.line == CREATE else None
    result = run(app, "connect", BASE, "--replace")
    assert result.exit_code == 1
    assert "Whether the webhook was created is not known. Run the command again" in result.stderr
    assert (drip.ids(), drip.changes()) == (["77001"], [CREATE])


def test_nothing_is_deleted_where_drip_makes_the_new_one_otherwise(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)

    def forgetful(visit: Visit) -> None:
        if visit.line == CREATE:
            visit.body["webhooks"][0]["include_received_email"] = False

    drip.behave = forgetful
    result = run(app, "connect", BASE, "--replace")
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
    assert run(app, "connect", BASE, "--replace").exit_code == 0
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
def test_an_address_that_is_no_base_url_is_refused_before_drip_is_asked(
    app: Flask, drip: FakeDrip, command: str, base: str
) -> None:
    result = run(app, command, base)
    assert result.exit_code == 2
    assert "must be https:// and a host alone" in result.stderr
    assert drip.visits == []


def test_on_loopback_http_will_do_and_drip_s_blindness_is_told(app: Flask, drip: FakeDrip) -> None:
    result = run(app, "connect", "http://127.0.0.1:8000")
    assert result.exit_code == 0
    assert result.stderr == "Drip cannot reach it: this address is your own machine's.\n"
    assert drip.webhooks[0]["post_url"].startswith("http://127.0.0.1:8000/webhooks/drip?token=")


# check


def test_check_says_that_all_is_well_and_what_drip_does_not_tell(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    for arguments in ((), (BASE,)):
        result = run(app, "check", *arguments)
        assert (result.exit_code, result.stderr, drip.changes()) == (0, "", [])
        assert result.stdout.startswith(
            f"Webhook 77001 ({MASKED}) is as it should be: all 7 email events.\n"
            "Whether it is switched on, Drip does not tell. It switches one off after 3 days of "
            "errors, and notifies the account's owner.\n"
        )


def test_received_email_is_sent_where_the_flag_says_so(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, [event for event in EVENTS if event != RECEIVED])
    assert run(app, "check").exit_code == 0


def test_check_tells_when_the_last_event_came(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    assert "When the last event came is not known. DATABASE_URL: " in run(app, "check").stdout
    store = app.extensions["bridge"].store
    upgrade(store.engine)
    assert "No event is kept at the moment" in run(app, "check").stdout
    at = datetime(2026, 11, 2, 9, 29, tzinfo=UTC).timestamp()
    store.put([Message("drip-1", ACCOUNT, "{}", b"{}", at)])
    lines = run(app, "check").stdout.splitlines()
    assert lines[-1] == "The last event that is kept came at 2026-11-02 09:29 UTC."


def test_the_last_event_is_the_newest_on_both_engines(
    settings: Settings, database_url: URL
) -> None:
    store = create_app(replace(settings, database_url=database_url)).extensions["bridge"].store
    upgrade(store.engine)
    assert last_received(store.engine, "segment") is None
    for at in (7.5, 8.25):
        store.put([Message(f"drip-{at}", ACCOUNT, "{}", b"{}", at)])
    assert last_received(store.engine, "segment") == 8.25
    store.engine.dispose()


@pytest.mark.parametrize("arguments", [(), (BASE,)])
def test_check_says_that_there_is_none_and_how_to_create_it(
    app: Flask, drip: FakeDrip, arguments: tuple[str, ...]
) -> None:
    drip.add(f"https://other.example.com/webhooks/drip?token={UNKNOWN}", EVENTS)
    result = run(app, "check", *arguments)
    base = arguments[0] if arguments else "BASE_URL"
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    assert result.stderr.splitlines()[:2] == [
        f"Account {ACCOUNT} has no webhook for this bridge.",
        f"To create it: flask --app wsgi drip connect {base}",
    ]
    assert ("is found by its address" in result.stderr) is not bool(arguments)


@pytest.mark.parametrize(("kwargs", "said"), DIFFERENT)
def test_check_says_what_differs(
    app: Flask, drip: FakeDrip, kwargs: dict[str, Any], said: str
) -> None:
    drip.add(**{"post_url": URL_WITH_TOKEN, "events": EVENTS, **kwargs})
    result = run(app, "check", BASE)
    assert (result.exit_code, result.stdout, drip.changes()) == (1, "", [])
    assert said in result.stderr
    assert f"flask --app wsgi drip connect {BASE} --replace" in result.stderr


def test_check_without_an_address_takes_any_host_but_not_any_path(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add("https://elsewhere.example.com" + URL_WITH_TOKEN.removeprefix(BASE), EVENTS)
    assert run(app, "check").exit_code == 0
    drip.webhooks[0]["post_url"] = f"{BASE}/drip?token={quote(TOKEN, safe='')}"
    result = run(app, "check")
    assert result.exit_code == 1
    assert "Its path is not /webhooks/drip" in result.stderr
    assert "connect BASE_URL --replace" in result.stderr


def test_check_says_that_there_are_several(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.add(URL_WITH_TOKEN, EVENTS)
    result = run(app, "check")
    assert result.exit_code == 1
    assert "These are 2 webhooks for one bridge" in result.stderr


# disconnect


def test_disconnect_asks_and_deletes_what_carries_our_tokens(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    other = drip.add(f"{BASE}/webhooks/drip?token={UNKNOWN}", EVENTS)
    drip.add(f"https://ana:{quote(OLDER)}@old.example.com/webhooks/drip", EVENTS)
    result = run(app, "disconnect", stdin="y\n")
    assert result.exit_code == 0
    assert drip.ids() == [other]
    assert f"Webhook 77001 ({MASKED}) is deleted.\n" in result.stdout
    assert "Webhook 77003 (https://old.example.com/webhooks/drip) is deleted.\n" in result.stdout


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_disconnect_deletes_nothing_without_a_yes(app: Flask, drip: FakeDrip, answer: str) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    result = run(app, "disconnect", stdin=answer)
    assert (result.exit_code, drip.changes()) == (1, [])
    assert f"Webhook 77001 ({MASKED})\n" in result.stdout


def test_disconnect_deletes_what_leads_to_the_address_and_no_more(
    app: Flask, drip: FakeDrip
) -> None:
    drip.add(f"{BASE.upper()}:443/webhooks/drip/?token={UNKNOWN}", EVENTS)
    other = drip.add("https://new.example.com" + URL_WITH_TOKEN.removeprefix(BASE), EVENTS)
    assert run(app, "disconnect", BASE, "--yes").exit_code == 0
    assert drip.ids() == [other]


@pytest.mark.parametrize("arguments", [(), (BASE,)])
def test_disconnect_with_nothing_there_says_so(
    app: Flask, drip: FakeDrip, arguments: tuple[str, ...]
) -> None:
    result = run(app, "disconnect", *arguments)
    assert (result.exit_code, drip.changes()) == (0, [])
    where = f"leads to {BASE}" if arguments else "has a token of this bridge"
    assert result.stdout == f"Nothing to delete: no webhook of account {ACCOUNT} {where}.\n"


def test_disconnect_names_what_could_not_be_deleted(app: Flask, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.behave = lambda visit: Answer(429) if visit.line.startswith("DELETE") else None
    result = run(app, "disconnect", "--yes")
    assert result.exit_code == 1
    assert f"Error: Webhook 77001 ({MASKED}) is not deleted: Drip takes no more" in result.stderr
    assert result.stderr.endswith("\nRun the command again.\n")


# settings, secrets and the wire


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"drip_api_token": None}, ["DRIP_API_TOKEN"]),
        ({"drip_account_id": None}, ["DRIP_ACCOUNT_ID"]),
        ({"drip_api_token": None, "drip_account_id": None}, ["DRIP_API_TOKEN", "DRIP_ACCOUNT_ID"]),
    ],
)
@pytest.mark.parametrize("command", [("connect", BASE), ("check",), ("disconnect", "--yes")])
def test_missing_settings_are_told_at_once_with_where_to_find_them(
    settings: Settings,
    drip: FakeDrip,
    command: tuple[str, ...],
    missing: dict[str, Any],
    named: list[str],
) -> None:
    result = run(create_app(replace(settings, **missing)), *command)
    assert (result.exit_code, drip.visits) == (1, [])
    assert [line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]] == named
    assert result.stderr.count("https://www.getdrip.com/") == len(named)


def test_each_request_names_the_app_and_carries_the_api_token_alone(
    app: Flask, drip: FakeDrip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    assert run(app, "connect", BASE, "--replace").exit_code == 0
    assert len(drip.visits) == 3
    for visit in drip.visits:
        assert visit.headers["Authorization"] == f"Basic {SECRETS[1]}"
        assert visit.headers["User-Agent"] == f"drip-segment-bridge/{VERSION}"


def test_the_client_asks_the_real_drip_unless_told_otherwise() -> None:
    assert client.API == "https://api.getdrip.com"
    assert vars(commands)["API"] is client.API


def test_neither_client_nor_webhook_shows_a_secret(api: Drip, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    shown = repr(api) + repr(api.webhooks()) + str(api)
    for secret in SECRETS:
        assert secret not in shown


FIELDS = refusal(422, "url_error", "Post url is invalid", "post_url")

ANSWERS = [
    pytest.param(
        refusal(401, "authentication_error", "no"),
        "Drip does not know this API token. Set DRIP_API_TOKEN to the one in Drip's User Settings",
        id="401",
    ),
    pytest.param(Answer(401), "Set DRIP_API_TOKEN", id="401 without a word"),
    pytest.param(
        refusal(403, "authorization_error", "You are not authorized"),
        "may not manage the webhooks of account 9999999 (HTTP 403: You are not authorized).",
        id="403",
    ),
    pytest.param(
        FIELDS, "(HTTP 422: post_url: Post url is invalid). Check that BASE_URL", id="422"
    ),
    pytest.param(
        Answer(422, b'{"errors": [{"code": "presence_error"}, {"attribute": 7}, {"message": []}]}'),
        "(HTTP 422: presence_error)",
        id="422 with odd errors",
    ),
    pytest.param(Answer(422, b'{"errors": "many"}'), "(HTTP 422).", id="422 with no list"),
    pytest.param(
        Answer(429, b'{"message": "slow down"}'),
        "3600 an hour are allowed. Run the command again later: within the hour",
        id="429",
    ),
    pytest.param(
        Answer(429, headers={"Retry-After": "90"}), "again in 90 seconds.", id="429, seconds"
    ),
    pytest.param(Answer(429, headers={"Retry-After": "soon"}), "again later", id="429, words"),
    pytest.param(
        Answer(429, headers={"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0"}),
        ": 50 an hour are allowed.",
        id="429, another limit",
    ),
    pytest.param(
        Answer(429, headers={"X-RateLimit-Limit": "\x1b[2J"}), ": 3600 an hour", id="429, odd limit"
    ),
    pytest.param(Answer(500, b"<html>oops</html>"), "Drip is out of order (HTTP 500).", id="500"),
    pytest.param(Answer(503, b"[" * 100_000), "Drip is out of order (HTTP 503).", id="503, nested"),
    pytest.param(
        refusal(418, "teapot_error", "I am a teapot"),
        "does not know (HTTP 418: I am a teapot). Look for a proxy",
        id="another 4xx",
    ),
    pytest.param(Answer(200, b"<html>Log in</html>"), "is not what its documentation", id="a page"),
    pytest.param(Answer(200, b"\xff\xfe\xff"), "is not what its documentation", id="no text"),
    pytest.param(Answer(200, b""), "is not what its documentation", id="nothing"),
    pytest.param(Answer(200, b"[" * 100_000), "is not what its documentation", id="nested"),
    pytest.param(Answer(200, b"[]"), "is not what its documentation", id="a list"),
    pytest.param(Answer(200, b'{"webhooks": 7}'), "is not what its documentation", id="no list"),
    pytest.param(Answer(200, b'{"webhooks": [7]}'), "is not what its docu", id="a list of numbers"),
    pytest.param(
        Answer(200, b'{"webhooks": [{"post_url": "https://a"}]}'), "is not what its", id="no id"
    ),
    pytest.param(
        Answer(200, b'{"webhooks": [{"id": "../subscribers"}]}'), "is not what its", id="no such id"
    ),
    pytest.param(Answer(200, cut=True), "No whole answer came from Drip (", id="no answer"),
    pytest.param(Answer(200, hang=0.5), "Drip did not answer in time.", id="late answer"),
    pytest.param(
        Answer(200, b" " * 100, seconds_a_byte=0.02), "No whole answer", id="dripping answer"
    ),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "OPERATION_TIMEOUT", 0.2)
    monkeypatch.setattr(client, "WHOLE_EXCHANGE", 0.4)


@pytest.mark.parametrize(("answer", "said"), ANSWERS)
@pytest.mark.usefixtures("impatient")
def test_every_answer_that_is_none_ends_in_one_line_that_says_what_to_do(
    app: Flask, drip: FakeDrip, answer: Answer, said: str
) -> None:
    drip.behave = lambda _: answer
    started = time.monotonic()
    result = run(app, "check", BASE)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert time.monotonic() - started < 1.5
    assert [visit.line for visit in drip.visits] == [LIST]


@pytest.mark.parametrize("command", [("connect", BASE, "--replace"), ("disconnect", "--yes")])
def test_no_command_changes_anything_where_it_cannot_look_first(
    app: Flask, drip: FakeDrip, command: tuple[str, ...]
) -> None:
    drip.behave = lambda _: Answer(503)
    result = run(app, *command)
    assert (result.exit_code, drip.changes()) == (1, [])
    assert result.stderr == (
        "Error: Drip is out of order (HTTP 503). Run the command again later.\n"
    )


@pytest.mark.parametrize(("answer", "said"), ANSWERS)
@pytest.mark.usefixtures("impatient")
def test_every_such_answer_to_a_create_ends_so_too(
    app: Flask, drip: FakeDrip, answer: Answer, said: str
) -> None:
    drip.behave = lambda visit: answer if visit.line == CREATE else None
    result = run(app, "connect", BASE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    knows = answer.status in (401, 403, 418, 422, 429)
    assert ("Whether the webhook was created is not known." in result.stderr) is not knows


def test_an_answer_that_names_no_webhook_is_not_taken_for_one(api: Drip, drip: FakeDrip) -> None:
    drip.behave = lambda _: Answer(201, b'{"webhooks": []}')
    assert "is not what its documentation" in error_of(lambda: api.create(URL_WITH_TOKEN, EVENTS))


@pytest.mark.usefixtures("drip")
def test_another_account_says_which_setting_to_check(settings: Settings) -> None:
    result = run(create_app(replace(settings, drip_account_id="1")), "check")
    assert result.exit_code == 1
    assert "Drip finds no account 1 for this API token (HTTP 404" in result.stderr
    assert "DRIP_ACCOUNT_ID" in result.stderr


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(app: Flask, drip: FakeDrip, status: int) -> None:
    with FakeDrip() as elsewhere:
        drip.behave = lambda _: Answer(status, headers={"Location": f"{elsewhere.url}{WEBHOOKS}"})
        result = run(app, "check")
        assert result.exit_code == 1
        assert f"A redirect came in place of Drip's answer (HTTP {status})." in result.stderr
        assert (len(drip.visits), elsewhere.visits) == (1, [])


def test_drip_out_of_reach_says_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "API", "http://127.0.0.1:9")
    result = run(app, "check")
    assert result.exit_code == 1
    assert "No whole answer came from Drip (ConnectionError): check the network" in result.stderr


def test_a_date_to_wait_for_is_read(api: Drip, drip: FakeDrip) -> None:
    in_90_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    drip.behave = lambda _: Answer(429, headers={"Retry-After": in_90_seconds})
    said = error_of(api.webhooks)
    assert any(f"again in {seconds} seconds." in said for seconds in range(86, 91))


@pytest.mark.parametrize(
    "quoted",
    [
        *(URL_WITH_TOKEN, TOKEN, quote(TOKEN, safe="").lower(), API_TOKEN, SECRETS[1]),
        *(URL_WITH_TOKEN[:-6], "first-token%2fof%2bthe+bridge"),
    ],
)
@pytest.mark.parametrize("status", [403, 404, 422, 500, 418])
def test_a_secret_that_drip_quotes_is_not_repeated(
    api: Drip, drip: FakeDrip, status: int, quoted: str
) -> None:
    # the cut at 300 characters falls inside a secret
    for before in ("", "x" * 290 + " "):
        words = f"{before}{quoted} is\x1b[2J no good"
        drip.behave = lambda _, words=words: refusal(status, "url_error", words, "post_url")  # type: ignore[misc]
        said = error_of(lambda: api.create(URL_WITH_TOKEN, EVENTS))
        assert quoted[:11].lower() not in said.lower().replace("https://www", "")
        assert "first-token" not in said
        assert "\x1b" not in said


def test_no_command_repeats_a_secret_that_drip_quotes(app: Flask, drip: FakeDrip) -> None:
    words = f"{' '.join(SECRETS[:-1])} are no good"
    drip.behave = lambda visit: refusal(422, "x", words) if visit.line == CREATE else None
    result = run(app, "connect", BASE)  # which looks for them all
    assert "(HTTP 422: … … … … … are no good)" in result.stderr


def test_ids_may_be_numbers(api: Drip, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.webhooks[0]["id"] = 77001
    assert [webhook.id for webhook in api.webhooks()] == ["77001"]


# the webhook's URL


@pytest.mark.parametrize(
    ("post_url", "leads"),
    [
        (f"{BASE}/webhooks/drip", True),
        (f"{BASE}/webhooks/drip/?token=x", True),
        (f"{BASE}:443/webhooks/drip", True),
        ("HTTPS://My-Bridge.Example.COM/webhooks/drip", True),
        (f" {BASE}/webhooks/drip ", True),
        ("https://ana:x@my-bridge.example.com/webhooks/drip", True),
        ("http://my-bridge.example.com/webhooks/drip", False),
        ("http://my-bridge.example.com:443/webhooks/drip", False),
        (f"{BASE}:8443/webhooks/drip", False),
        (f"{BASE}/webhooks/drip2", False),
        (f"{BASE}/Webhooks/Drip", False),
        (f"{BASE}.evil.example/webhooks/drip", False),
        ("https://my-bridge.example.com@evil.example/webhooks/drip", False),
        ("https://[x/webhooks/drip", False),
        ("https://my-bridge.example.com:x/webhooks/drip", False),
        ("", False),
    ],
)
def test_which_urls_lead_to_the_bridge(post_url: str, leads: bool) -> None:
    assert leads_to(BASE, post_url) is leads
    assert leads_to(f"{BASE.upper()}:443/", post_url) is leads


@pytest.mark.parametrize(
    ("post_url", "token", "shown"),
    [
        ("https://a/b?token=x%2By", "x+y", "https://a/b?token=…"),
        ("https://a/b?n=1&token=x&token=y", "x", "https://a/b?token=…"),
        ("https://me:x%2By@a:8443/b", "x+y", "https://a:8443/b"),
        ("https://me:x@a/b?token=", "x", "https://a/b?token=…"),
        ("https://a/b?key=x", None, "https://a/b?…"),
        ("https://a/b", None, "https://a/b"),
        ("https://[a/b?token=x", None, "(not a URL)"),
    ],
)
def test_the_token_of_a_url_is_found_and_never_shown(
    post_url: str, token: str | None, shown: str
) -> None:
    assert (token_in(post_url), masked(post_url)) == (token, shown)


def test_the_commands_are_found_by_their_names(app: Flask) -> None:
    result = run(app, "--help")
    for name in ("connect", "check", "disconnect"):
        assert f"\n  {name} " in result.stdout
