"""An account of Drip, its secrets, and the commands over it."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from click.testing import Result
from flask import Flask

from app.clients.drip import DripError
from app.config.settings import Settings
from app.drip_to_segment.mapping import COLLECTIONS
from tests.support.fake_drip import ACCOUNT, API_TOKEN, WEBHOOKS
from tests.support.flask_app import run

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


def with_account(settings: Settings, api: str) -> Settings:
    """With the account's id and API token, and two tokens of the bridge."""
    return replace(
        settings,
        drip_api_url=api,
        webhook_tokens=(TOKEN, OLDER),
        drip_api_token=API_TOKEN,
        drip_account_id=ACCOUNT,
    )


def run_drip(app: Flask, *arguments: str, stdin: str = "") -> Result:
    """A command `drip`: no secret shows, and what failed ended in words, not in a traceback."""
    result = run(app, "drip", *arguments, stdin=stdin)
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
