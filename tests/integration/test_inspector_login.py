"""Who gets to see the inspector: its password, its session, and what stands before each page."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request

from app import create_app
from app.config.settings import Settings, load_settings
from app.inspector.limits import LoginRateLimit
from app.inspector.session import own_path
from app.web.client_address import rate_limit_key
from app.web.login_link import LASTS, make_ticket, session_key
from tests.support.builders import TOKEN
from tests.support.databases import put_schema

PASSWORD = "correct horse battery"
TLS = {"X-Forwarded-Proto": "https"}

opened = ExitStack()


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    with opened:
        yield


def app_with(settings: Settings, password: str | None = PASSWORD, link: bool = False) -> Flask:
    put_schema(settings.database_url)
    app = create_app(replace(settings, inspector_password=password, inspector_link=link))
    opened.callback(app.extensions["bridge"].engine.dispose)
    return app


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    """Nobody is logged in."""
    return app_with(settings).test_client()


def csrf_of(client: FlaskClient, **kwargs: Any) -> str:
    return csrf_on(client, "/login", **kwargs)


def csrf_on(client: FlaskClient, path: str, **kwargs: Any) -> str:
    page = client.get(path, **kwargs).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def log_in(client: FlaskClient, password: str = PASSWORD, **form: str) -> TestResponse:
    form = {"csrf_token": csrf_of(client), "password": password, **form}
    return client.post("/login", data=form)


def cookie(answer: TestResponse) -> str:
    return answer.headers["Set-Cookie"]


def is_in(client: FlaskClient) -> bool:
    """Of those who are out, "/login" shows a form."""
    return client.get("/login").status_code == 303


# the password


def test_the_password_opens_the_page(client: FlaskClient) -> None:
    answer = log_in(client)

    assert (answer.status_code, answer.location) == (303, "/")
    assert is_in(client)


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD[:-1], PASSWORD.upper(), TOKEN, "ü\0"])
def test_no_other_password_does(client: FlaskClient, password: str) -> None:
    answer = log_in(client, password)

    assert answer.status_code == 403
    assert "That is not the password." in answer.text
    assert not is_in(client)


def test_what_was_pasted_with_a_line_end_counts(client: FlaskClient) -> None:
    assert log_in(client, f" {PASSWORD}\r\n").status_code == 303


def test_no_password_is_in_a_log_or_an_answer(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    client = app_with(settings, link=True).test_client()
    answers = [
        log_in(client, "canary-of-a-guess"),
        client.get("/login?ticket=canary-of-a-guess"),
        log_in(client),
    ]

    logged = capfd.readouterr().err
    assert "wrong password for the inspector" in logged
    assert "logged in to the inspector" in logged
    for said in [logged, *(answer.text for answer in answers)]:
        assert "canary" not in said
        assert PASSWORD not in said


def test_nobody_is_logged_in_without_the_forms_token(client: FlaskClient) -> None:
    token = csrf_of(client)

    assert client.post("/login", data={"password": PASSWORD}).status_code == 400
    forged = {"password": PASSWORD, "csrf_token": token[:-1] + "~"}
    assert client.post("/login", data=forged).status_code == 400
    assert not is_in(client)


# the link, as Jupyter has it


def link_of(app: Flask) -> str:
    """As `flask url` prints it."""
    told = app.test_cli_runner().invoke(args=["url", "https://b.example/"]).stdout
    found = re.search(r"https://b.example(/login\?ticket=\S+)", told)
    assert found, told
    return found[1]


def test_a_link_logs_in_once_if_the_password_is_made_up(settings: Settings) -> None:
    app = app_with(settings, link=True)
    link, client = link_of(app), app.test_client()

    answer = client.get(link)

    assert (answer.status_code, answer.location) == (303, "/")
    assert is_in(client)
    assert client.get(link).location == "/"  # who is in needs no link
    other = app_with(settings, link=True).test_client()  # as another process
    again = other.get(link)
    assert again.status_code == 403
    assert "flask url" in again.text
    assert not is_in(other)
    assert other.get(link_of(app)).status_code == 303


@pytest.mark.parametrize("later", [LASTS + 2, 10 * 365 * 86400])
def test_a_link_is_of_no_use_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, later: float
) -> None:
    app = app_with(settings, link=True)
    link, now = link_of(app), time.time()
    monkeypatch.setattr(time, "time", lambda: now + later)
    assert app.test_client().get(link).status_code == 403


@pytest.mark.parametrize("other", [PASSWORD, "another horse battery"])
def test_a_forged_link_is_of_no_use(settings: Settings, other: str) -> None:
    app = app_with(settings, link=True)
    tokens = [TOKEN + "x"] if other == PASSWORD else [TOKEN]
    ticket = make_ticket(session_key(other, tokens))
    for forged in (ticket, "", "x", "\x00", f"{PASSWORD}"):
        client = app.test_client()
        assert client.get("/login", query_string={"ticket": forged}).status_code == 403
        assert not is_in(client)


def test_a_password_that_was_set_leaves_no_use_for_a_link(settings: Settings) -> None:
    client = app_with(settings).test_client()
    ticket = make_ticket(session_key(PASSWORD, [TOKEN]))
    for asked in ({"ticket": ticket}, {"password": PASSWORD}):
        assert client.get("/login", query_string=asked).status_code == 200
        assert not is_in(client)


def test_a_page_that_has_browsers_try_links_locks_nobody_out(settings: Settings) -> None:
    client = app_with(settings, link=True).test_client()
    for _ in range(70):
        assert client.get("/login?ticket=wrong").status_code == 403
        assert client.get("/login?password=wrong").status_code == 200
    assert log_in(client).status_code == 303


def test_the_password_is_made_up_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()

    assert settings.inspector_link
    assert settings.inspector_password == Path("inspector.password").read_text()
    monkeypatch.setenv("INSPECTOR_PASSWORD", PASSWORD)
    assert not load_settings().inspector_link


@pytest.mark.parametrize(
    ("password", "link", "said"),
    [
        (PASSWORD, True, "once, within 15 minutes:\n\n  https://b.example/login?ticket="),
        (PASSWORD, False, "with INSPECTOR_PASSWORD:\n\n  https://b.example/\n"),
        (None, False, "The inspector is off: it needs INSPECTOR_PASSWORD"),
    ],
)
def test_url_reports_where_to_look(
    settings: Settings, password: str | None, link: bool, said: str
) -> None:
    app = app_with(settings, password, link)

    told = app.test_cli_runner().invoke(args=["url", "https://b.example/"]).stdout

    assert said in told
    assert PASSWORD not in told


# off


@pytest.mark.parametrize("path", ["/", "/login", "/live/overview", "/events.jsonl", "/events/x"])
def test_each_page_without_a_password_shows_how_to_turn_it_on(
    settings: Settings, path: str
) -> None:
    client = app_with(settings, password=None).test_client()

    answer = client.get(path)

    assert answer.status_code == 404
    assert "INSPECTOR_PASSWORD=" in answer.text
    assert "Set-Cookie" not in answer.headers
    with client.get("/inspector-static/inspector.css") as style:
        assert style.status_code == 200


def test_nothing_can_be_done_without_a_password(settings: Settings) -> None:
    app = app_with(settings, password=None)

    for path in ("/login", "/logout", "/retry", "/dismiss", "/erase", "/sample"):
        assert app.test_client().post(path, data={"password": ""}).status_code == 404
    assert app.test_client().post("/login", data={"password": "None"}).status_code == 404


# the guard


def test_no_page_is_shown_to_who_is_not_logged_in(client: FlaskClient) -> None:
    """Each rule there is: a page that is added later is tried as well."""
    tried = set()
    for rule in client.application.url_map.iter_rules():
        if not rule.endpoint.startswith("inspector."):
            continue
        path = re.sub(r"<[^>]+>", "drip-0", rule.rule)
        for method in (rule.methods or set()) - {"HEAD"}:
            if rule.endpoint in ("inspector.login", "inspector.static"):
                continue
            answer = client.open(path, method=method)
            tried.add(path)
            if path.startswith("/live/") or path.endswith(".jsonl"):
                assert answer.status_code == 401, path
                continue
            assert answer.status_code == 303, path
            assert answer.location.partition("?")[0] == "/login", path
    assert {"/", "/live/overview", "/events.jsonl", "/logout", "/events/drip-0"} <= tried


def test_no_change_is_made_without_the_forms_token(client: FlaskClient) -> None:
    log_in(client)
    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.startswith("inspector.") and "POST" in (rule.methods or set()):
            path = re.sub(r"<[^>]+>", "drip-0", rule.rule)
            assert client.post(path).status_code == 400, path
    assert is_in(client)


def test_the_other_urls_ask_for_no_session(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    answer = client.post("/webhooks/drip", query_string={"token": TOKEN}, data=b"{")
    assert answer.get_json()["status"] == "quarantined"
    assert "Set-Cookie" not in answer.headers
    missing = client.get("/no-such-page")
    assert (missing.status_code, missing.is_json) == (404, True)


def test_a_form_is_small(client: FlaskClient) -> None:
    token = csrf_of(client)
    long = {"csrf_token": token, "password": "x" * 65536}

    assert client.post("/login", data=long).status_code == 413


# the session


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: FlaskClient) -> None:
    given = cookie(log_in(client)).split("; ")

    assert given[0].startswith("inspector=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(given)
    assert "Secure" not in given


def test_a_cookie_over_tls_is_for_this_host_and_tls_alone(client: FlaskClient) -> None:
    token = csrf_of(client, headers=TLS, base_url="https://bridge.example.com")
    answer = client.post(
        "/login",
        data={"csrf_token": token, "password": PASSWORD},
        headers=TLS,
        base_url="https://bridge.example.com",
    )

    given = cookie(answer).split("; ")
    assert given[0].startswith("__Host-inspector=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(given)
    assert not any(part.startswith("Domain") for part in given)


@pytest.mark.parametrize(
    "said", [TLS, {"X-Forwarded-Proto": "http,https"}, {"X-Forwarded-Proto": "HTTPS"}]
)
def test_a_proxy_that_speaks_tls_is_believed(client: FlaskClient, said: dict[str, str]) -> None:
    assert "; Secure" in cookie(client.get("/login", headers=said))


def test_no_header_takes_secure_away(client: FlaskClient) -> None:
    plain = {"X-Forwarded-Proto": "http"}
    answer = client.get("/login", headers=plain, base_url="https://bridge.example.com")
    assert "; Secure" in cookie(answer)


def test_a_session_from_before_the_login_is_not_taken_over(client: FlaskClient) -> None:
    token = csrf_of(client)
    with client:
        client.post("/login", data={"csrf_token": token, "password": PASSWORD})
        assert set(session) == {"id", "since", "_permanent"}


def test_logging_out_ends_it(client: FlaskClient) -> None:
    log_in(client)
    with client.session_transaction(path="/login") as held:
        assert "since" in held
    page = client.get("/erase").text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found

    answer = client.post("/logout", data={"csrf_token": found[1]})

    assert (answer.status_code, answer.location) == (303, "/login")
    assert not is_in(client)
    assert client.get("/logout").status_code == 405


def test_a_copied_cookie_ends_with_the_session_in_all_processes(settings: Settings) -> None:
    app = app_with(settings)
    client, colleague = app.test_client(), app.test_client()
    held = cookie(log_in(client)).partition(";")[0]
    log_in(colleague)

    def is_in_with_copy() -> bool:
        other = app_with(settings).test_client(use_cookies=False)  # as another process
        return other.get("/login", headers={"Cookie": held}).status_code == 303

    assert is_in_with_copy()
    client.post("/logout", data={"csrf_token": csrf_on(client, "/erase")})
    assert not is_in_with_copy()
    assert is_in(colleague)
    assert log_in(client).status_code == 303
    assert not is_in_with_copy()


def test_a_login_without_a_database_is_refused_with_why(settings: Settings) -> None:
    app = app_with(settings)
    client = app.test_client()
    log_in(client)
    with app.extensions["bridge"].engine.begin() as connection:
        connection.execute(text("DROP TABLE notes"))
    answer = client.get("/")
    assert answer.status_code == 503
    assert "The database cannot be read" in answer.text
    assert "Log out" not in answer.text
    assert app.test_client().get("/login").status_code == 200


@pytest.mark.parametrize(
    ("idle", "old", "still_in"),
    [(11, 11, True), (13, 13, False), (1, 24 * 6.9, True), (1, 24 * 7.1, False)],
)
def test_it_ends_when_idle_and_at_the_latest_after_a_week(
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    idle: float,
    old: float,
    still_in: bool,
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - idle * 3600)
    with client.session_transaction(path="/login") as held:
        held["id"] = "of-the-test"
        held["since"] = now - old * 3600
        held.permanent = True
    monkeypatch.setattr(time, "time", lambda: now)

    assert is_in(client) is still_in


def test_a_session_lasts_until_the_password_changes(settings: Settings) -> None:
    client = app_with(settings).test_client()
    held = cookie(log_in(client)).partition(";")[0]

    def shown(password: str) -> int:
        other = app_with(settings, password).test_client(use_cookies=False)
        return other.get("/login", headers={"Cookie": held}).status_code

    assert shown(PASSWORD) == 303
    assert shown("another horse battery") == 200


def test_the_key_is_neither_the_password_nor_guessable_from_it() -> None:
    key = session_key(PASSWORD, [TOKEN])

    assert len(key) == 32
    assert key not in (session_key(PASSWORD, ["another-token-of-ours"]), PASSWORD.encode())
    assert key == session_key(PASSWORD, [TOKEN])


# where to after the login


def test_a_login_leads_to_what_was_asked_for(client: FlaskClient) -> None:
    asked = "/events/drip-0?pretty=1&q=a%40b%20c"
    at_login = client.get(asked).location
    assert at_login.startswith("/login?next=")
    page = client.get(at_login).text
    found = re.search(r'name="next" value="([^"]+)"', page)
    assert found

    answer = log_in(client, next=found[1].replace("&amp;", "&"))

    assert (answer.status_code, answer.location) == (303, asked)


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example"),
        *("/\t/evil.example", "/\n/evil.example", "evil.example", "javascript:alert(1)", ""),
        *("/x\r\nSet-Cookie: a=b", "/ü", " //evil.example", "///evil.example"),
    ],
)
def test_the_login_leads_to_no_other_site(client: FlaskClient, elsewhere: str) -> None:
    assert own_path(elsewhere) == "/"
    assert log_in(client, next=elsewhere).location == "/"


@pytest.mark.parametrize("path", ["/", "/events/drip-0", "/?q=a%40b&state=dead"])
def test_a_path_of_ours_stays_as_it_is(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize("path", ["/", "//events/x", "//evil.example/%2e%2e", "/events//x"])
def test_a_forged_host_is_in_no_redirect(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Host": "evil.example"})

    assert "evil" not in answer.headers.get("Location", "").partition("next=")[0]
    assert not answer.headers.get("Location", "/").startswith(("//", "http"))


# how often


def test_an_address_has_ten_tries_a_minute(client: FlaskClient) -> None:
    tries = [log_in(client, "wrong").status_code for _ in range(10)]
    refused = log_in(client)

    assert tries == [403] * 10
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert f"Wait for {refused.headers['Retry-After']} seconds" in refused.text
    assert not is_in(client)


def last_of_eleven(app: Flask, peers: list[str], forwarded: list[str]) -> tuple[int, int]:
    """The status of the eleventh wrong try, and then of a right one that comes as the twelfth."""
    client = app.test_client()
    token = csrf_of(client)
    statuses = [
        client.post(
            "/login",
            data={"csrf_token": token, "password": PASSWORD if n == 11 else "wrong"},
            headers={"X-Forwarded-For": forwarded[n]},
            environ_base={"REMOTE_ADDR": peers[n]},
        ).status_code
        for n in range(12)
    ]
    return statuses[10], statuses[11]


def test_another_address_still_gets_in(settings: Settings) -> None:
    peers = ["198.51.100.7"] * 11 + ["198.51.100.8"]
    assert last_of_eleven(app_with(settings), peers, [""] * 12) == (429, 303)


def test_a_caller_behind_a_proxy_is_what_it_appended_last(settings: Settings) -> None:
    forwarded = [f"8.8.4.{n}, 9.9.9.9" for n in range(11)] + ["9.9.9.9, 1.1.1.1"]
    assert last_of_eleven(app_with(settings), ["10.1.2.3"] * 12, forwarded) == (429, 303)


def test_a_caller_from_the_internet_cannot_claim_an_address(settings: Settings) -> None:
    forwarded = [f"8.8.4.{n}" for n in range(12)]
    assert last_of_eleven(app_with(settings), ["9.9.9.9"] * 12, forwarded) == (429, 429)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "caller"),
    [
        (None, "10.1.2.3", "8.8.8.8, 9.9.9.9", "9.9.9.9"),
        (None, "", "9.9.9.9", "9.9.9.9"),
        (None, "9.9.9.9", "8.8.8.8", "9.9.9.9"),
        (None, "10.1.2.3", None, "10.1.2.3"),
        (0, "10.1.2.3", "8.8.8.8", "10.1.2.3"),
        (1, "9.9.9.9", "8.8.8.8, 8.8.4.4", "8.8.4.4"),
        (2, "10.1.2.3", "1.1.1.1, 8.8.8.8, 10.9.9.9", "8.8.8.8"),
        (3, "10.1.2.3", "8.8.8.8", "10.1.2.3"),
        (1, "10.1.2.3", "x" * 8_000, "10.1.2.3"),
        (1, "10.1.2.3", "1" * 8_000, "10.1.2.3"),
        (1, "10.1.2.3", "8.8.8.8:4711", "8.8.8.8"),
        (1, "10.1.2.3", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::"),
        (1, "10.1.2.3", "fe80::1%" + "x" * 8_000, "fe80::"),
        (None, "2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::"),
        (None, "::ffff:9.9.9.9", None, "9.9.9.9"),
    ],
)
def test_callers_are_known_by_a_short_key(
    trusted: int | None, peer: str, forwarded: str | None, caller: str
) -> None:
    environ = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    assert rate_limit_key(Request(environ), trusted) == caller


def test_the_setting_is_how_many_proxies_there_are(settings: Settings) -> None:
    """One that passes on what a client sent gives it no further tries."""
    app = app_with(replace(settings, trusted_proxies=0))
    forwarded = [f"8.8.4.{n}" for n in range(12)]
    assert last_of_eleven(app, ["10.1.2.3"] * 12, forwarded) == (429, 429)


def test_all_addresses_together_have_sixty() -> None:
    attempts = LoginRateLimit()

    assert all(attempts.seconds_to_wait("203.0.113.7") == 0 for _ in range(10))
    # what one tries in vain is not taken from the others
    assert all(attempts.seconds_to_wait("203.0.113.7") > 0 for _ in range(100))
    assert all(attempts.seconds_to_wait(f"198.51.100.{n}") == 0 for n in range(50))
    assert 0 < attempts.seconds_to_wait("198.51.100.250") <= 60
