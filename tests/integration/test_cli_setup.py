"""What `url` and `drip check` say of Segment → Drip, with one account and with several."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.config.settings import Settings
from tests.support.bridge_process import ROOT
from tests.support.fake_drip import API_TOKEN, FakeDrip
from tests.support.fake_drip_rest import ACCOUNT, TOKEN, FakeDripRest
from tests.support.flask_app import app_over, run

BASE = "https://bridge.example.com"
SECRET = "a-secret+of/many=letters&'more'"
"""With letters that mean something else in a URL, and in a shell."""


@pytest.fixture
def both(settings: Settings) -> Settings:
    return replace(settings, segment_webhook_secrets=(SECRET, "an-older-secret-of-ours"))


@pytest.fixture
def fake() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake


def url(settings: Settings) -> str:
    with app_over(settings) as app:
        return run(app, "url", f"{BASE}/").stdout


def try_it(app: Flask, printed: str) -> TestResponse:
    """Post what the printed `curl` posts, to where it posts it."""
    line = next(line for line in printed.splitlines() if "/webhooks/segment?" in line)
    _, _, file, address = shlex.split(line)
    where = urlsplit(address)
    body = (ROOT / file.removeprefix("@")).read_bytes()
    return app.test_client().post(where.path, data=body, query_string=where.query)


def test_the_line_to_try_works(both: Settings) -> None:
    with app_over(both) as app:
        answer = try_it(app, run(app, "url").stdout)
    assert (answer.status_code, answer.json["accepted"]) == (200, 1)  # type: ignore[index]


def test_the_header_to_paste_admits(both: Settings) -> None:
    with app_over(both) as app:
        printed = run(app, "url").stdout
        line = next(line for line in printed.splitlines() if "Headers " in line)
        name, value = line.split("Headers", 1)[1].strip().split(": ", 1)
        answer = app.test_client().post("/webhooks/segment", data=b"{}", headers={name: value})
    assert answer.status_code == 200


def test_url_has_a_path_for_each_further_account(both: Settings) -> None:
    tokens = {ACCOUNT: "token-one-0a1b", "5150": "token-two-0a1b", "77": "token-three-0a1b"}
    printed = url(replace(both, drip_account_id=ACCOUNT, drip_api_tokens=tokens))
    segment = f"{BASE}/webhooks/segment"
    assert f"  URL             {segment}\n" in printed
    assert f"  URL             {segment}/5150   for Drip account 5150\n" in printed
    assert f"  URL             {segment}/77   for Drip account 77\n" in printed
    assert f"{segment}/{ACCOUNT}" not in printed
    accounts = f"5150, 77, {ACCOUNT}"
    assert f"Segment's calls go to Drip at https://api.getdrip.com: account {accounts}." in printed
    assert not [token for token in tokens.values() if token in printed]


def test_url_says_that_calls_are_held_without_an_account(both: Settings) -> None:
    whole = replace(both, drip_account_id=ACCOUNT, drip_api_token=TOKEN)
    held = "No Drip account with its API token is set: Segment's calls are kept and held"
    assert held not in url(whole)
    assert held in url(replace(whole, drip_account_id=None))
    assert held in url(replace(whole, drip_api_token=None))


def check(settings: Settings) -> tuple[int, str]:
    with app_over(settings) as app:
        result = run(app, "drip", "check")
        return result.exit_code, result.output


def test_check_looks_at_the_token_that_is_used(both: Settings, fake: FakeDripRest) -> None:
    """If an account has a token in both variables, the one in DRIP_API_TOKENS is."""
    here = replace(both, drip_account_id=ACCOUNT, drip_api_url=fake.url)
    code, printed = check(
        replace(here, drip_api_token=TOKEN, drip_api_tokens={ACCOUNT: "a-wrong-token-0a1b"})
    )
    assert code == 1
    assert (
        f"Account {ACCOUNT}: Drip does not know this API token. Set DRIP_API_TOKENS to" in printed
    )
    _, printed = check(
        replace(here, drip_api_token="a-wrong-token-0a1b", drip_api_tokens={ACCOUNT: TOKEN})
    )
    assert f"Account {ACCOUNT} (Account {ACCOUNT}): its token is good." in printed


def test_the_webhook_is_checked_with_a_token_of_either_variable(
    both: Settings, drip: FakeDrip
) -> None:
    account = "9999999"
    code, printed = check(
        replace(
            both,
            drip_account_id=account,
            drip_api_tokens={account: API_TOKEN},
            drip_api_url=drip.url,
        )
    )
    assert code == 1
    assert f"Account {account} has no webhook for this bridge." in printed


def test_the_commands_name_both_directions(app: Flask) -> None:
    assert "to Segment and to Drip" in run(app, "deliver", "--help").stdout
    assert "the API token of each account" in " ".join(
        run(app, "drip", "check", "--help").stdout.split()
    )
