"""Drip's REST client: what it sends, and what it makes of each answer."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app import create_app
from app.clients import drip as client
from app.clients import drip_api
from app.clients.drip import Drip
from app.clients.drip_answers import Account, User
from app.config.settings import Settings
from app.version import VERSION
from tests.support.drip_account import (
    BASE,
    CREATE,
    EVENTS,
    LIST,
    OLDER,
    SECRETS,
    TOKEN,
    URL_WITH_TOKEN,
    error_of,
    run_drip,
    with_account,
)
from tests.support.fake_drip import API_TOKEN, WEBHOOKS, Answer, FakeDrip, refusal
from tests.support.fake_drip_rest import FakeDripRest


@pytest.fixture
def settings(settings: Settings, drip: FakeDrip) -> Settings:
    return with_account(settings, drip.url)


def test_each_request_has_the_apps_name_and_the_token_alone(
    app: Flask, drip: FakeDrip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login bo password of-another-service")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    drip.add(f"{BASE}/webhooks/drip?token={OLDER}", EVENTS)
    assert run_drip(app, "connect", BASE, "--replace").exit_code == 0
    assert len(drip.visits) == 3
    for visit in drip.visits:
        assert visit.headers["Authorization"] == f"Basic {SECRETS[1]}"
        assert visit.headers["User-Agent"] == f"drip-segment-bridge/{VERSION}"


def test_the_client_asks_the_real_drip_by_default() -> None:
    assert drip_api.API == "https://api.getdrip.com"
    assert Settings(make_url("sqlite://"), (), "").drip_api_url == drip_api.API


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
        "3600 an hour are allowed. Try again later: within the hour",
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


def be_impatient(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """With an answer that does not come in time."""
    if answer.hang or answer.seconds_a_byte:
        monkeypatch.setattr(client, "OPERATION_TIMEOUT", 0.2)
        monkeypatch.setattr(client, "WHOLE_EXCHANGE", 0.4)


@pytest.mark.parametrize(("answer", "said"), ANSWERS)
def test_every_bad_answer_ends_in_one_line_with_what_to_do(
    app: Flask, drip: FakeDrip, answer: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_impatient(monkeypatch, answer)
    drip.behave = lambda _: answer
    started = time.monotonic()
    result = run_drip(app, "check", BASE)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert time.monotonic() - started < 4
    assert [visit.line for visit in drip.visits] == [LIST]


@pytest.mark.parametrize("command", [("connect", BASE, "--replace"), ("disconnect", "--yes")])
def test_no_command_changes_anything_if_it_cannot_look_first(
    app: Flask, drip: FakeDrip, command: tuple[str, ...]
) -> None:
    drip.behave = lambda _: Answer(503)
    result = run_drip(app, *command)
    assert (result.exit_code, drip.changes()) == (1, [])
    assert result.stderr == ("Error: Drip is out of order (HTTP 503). Try again later.\n")


@pytest.mark.parametrize(("answer", "said"), ANSWERS)
def test_every_such_answer_to_a_create_ends_so_too(
    app: Flask, drip: FakeDrip, answer: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_impatient(monkeypatch, answer)
    drip.behave = lambda visit: answer if visit.line == CREATE else None
    result = run_drip(app, "connect", BASE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    knows = answer.status in (401, 403, 418, 422, 429)
    assert ("Whether the webhook was created is not known." in result.stderr) is not knows


def test_an_answer_that_names_no_webhook_is_not_taken_for_one(api: Drip, drip: FakeDrip) -> None:
    drip.behave = lambda _: Answer(201, b'{"webhooks": []}')
    assert "is not what its documentation" in error_of(lambda: api.create(URL_WITH_TOKEN, EVENTS))


@pytest.mark.usefixtures("drip")
def test_another_account_is_reported_with_the_setting_to_check(settings: Settings) -> None:
    result = run_drip(create_app(replace(settings, drip_account_id="1")), "check")
    assert result.exit_code == 1
    assert "Drip finds no account 1 for this API token (HTTP 404" in result.stderr
    assert "DRIP_ACCOUNT_ID" in result.stderr


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(app: Flask, drip: FakeDrip, status: int) -> None:
    with FakeDrip() as elsewhere:
        drip.behave = lambda _: Answer(status, headers={"Location": f"{elsewhere.url}{WEBHOOKS}"})
        result = run_drip(app, "check")
        assert result.exit_code == 1
        assert f"A redirect came in place of Drip's answer (HTTP {status})." in result.stderr
        assert (len(drip.visits), elsewhere.visits) == (1, [])


def test_drip_out_of_reach_is_reported(settings: Settings) -> None:
    app = create_app(replace(settings, drip_api_url="http://127.0.0.1:9"))
    result = run_drip(app, "check")
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
    result = run_drip(app, "connect", BASE)  # which looks for them all
    assert "(HTTP 422: … … … … … are no good)" in result.stderr


def test_ids_may_be_numbers(api: Drip, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS)
    drip.webhooks[0]["id"] = 77001
    assert [webhook.id for webhook in api.webhooks()] == ["77001"]


def test_the_client_says_whose_the_token_is_and_what_it_opens() -> None:
    with FakeDripRest({"1": "a-token", "2": "another", "3": "a-token"}) as fake:
        api = Drip("1", "a-token", api=fake.url)
        assert api.user() == User("Jo", "jo@example.com")
        assert api.accounts() == [Account("1", "Account 1"), Account("3", "Account 3")]
        assert "Jo" not in repr(api.user())


@pytest.mark.parametrize("body", ["", "[]", '{"users": []}', '{"accounts": [{"id": "a/b"}]}'])
def test_a_user_and_accounts_that_are_not_as_documented_are_none(
    api: Drip, drip: FakeDrip, body: str
) -> None:
    drip.behave = lambda _: Answer(200, body.encode())
    for call in (api.user, api.accounts):
        assert "is not what its documentation" in error_of(call)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "Set DRIP_API_TOKEN"), (403, "does not know (HTTP 403: no)"), (429, "3600 an hour")],
)
def test_a_refusal_of_user_or_accounts_is_not_said_to_be_about_webhooks(
    api: Drip, drip: FakeDrip, status: int, said: str
) -> None:
    drip.behave = lambda _: refusal(status, "x", "no")
    for call in (api.user, api.accounts):
        told = error_of(call)
        assert said in told
        assert "webhook" not in told
