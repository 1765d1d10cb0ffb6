"""A backlog that Drip's limits make last long says until when, on the overview and in `status`."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask

from app.bridge import bridge_of
from app.config.settings import Settings
from app.formatting import read_time
from app.outbox.messages import Message
from app.outbox.store import Store
from app.segment_to_drip.sending.budget import HOUR
from tests.support.builders import claim, mark_sent, message
from tests.support.flask_app import run
from tests.support.inspector_app import Visitor, close, create_inspected, text_of
from tests.support.segment_webhooks import SECRET


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Drip takes two requests and a batch of it in an hour."""
    app = create_inspected(
        settings,
        segment_webhook_secrets=(SECRET,),
        drip_account_id="4417",
        drip_api_tokens={"4417": "an-api-token", "5150": "another-token"},
        drip_requests_per_hour=2,
        drip_batches_per_hour=1,
    )
    yield app
    close(app)


@pytest.fixture
def store(app: Flask) -> Store:
    return bridge_of(app).directions[1].store


def campaigns(count: int, account: str = "4417") -> list[Message]:
    """Calls that need a request of their own."""
    return [
        message(f"{account}-{n}", account=account, collection="campaign", received_at=time.time())
        for n in range(count)
    ]


def test_it_is_shown_until_when_it_lasts_at_the_earliest(app: Flask, store: Store) -> None:
    store.put(campaigns(1))
    mark_sent(store, claim(store, now=time.time()), time.time())
    store.put([*campaigns(6), *campaigns(2, "5150"), *campaigns(7, "no-token")])
    before = time.time()
    words = (
        r"Sent to Drip in the last hour: 1\. Waiting for its limits by the hour: 5; "
        r"the last of them can go at [^.]+ UTC at the earliest\."
    )
    assert re.search(words, text_of(Visitor(app).get("/")))
    assert re.search(words, run(app, "status").stdout)
    direction = json.loads(run(app, "status", "--json").stdout)["directions"][1]
    assert direction["ends"].keys() == {"4417"}
    seconds = read_time(direction["ends"]["4417"])
    assert seconds is not None
    assert before - 1 <= seconds - 2 * HOUR <= time.time()


def test_what_goes_at_once_is_not(app: Flask, store: Store) -> None:
    identifies = [each._replace(collection="identify") for each in campaigns(3)]
    store.put([*identifies, *campaigns(2, "5150")])
    assert "limits by the hour" not in text_of(Visitor(app).get("/"))
    assert "limits by the hour" not in run(app, "status").stdout
