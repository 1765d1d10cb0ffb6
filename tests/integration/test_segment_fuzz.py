"""Whatever Segment posts is kept or ignored, event by event, and nothing is answered 5xx."""

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, Row, delete, select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import events, whole
from app.json_elements import elements
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from tests.support.any_json import any_text, json_of, thoroughly, to_body
from tests.support.segment_webhooks import PATH, SECRET, batch, call, sign, webhook_over

TELLING = [
    *("type", "messageId", "userId", "anonymousId", "traits", "properties", "context", "event"),
    *("integrations", "timestamp", "email", "Drip", "json", "body", "previousId", "_metadata"),
    *("identify", "track", "alias", "page", "delete", "ana@example.com", "drip-x", "", "\x00"),
    *(
        "\ud800",
        "Revenue",
        "value",
        "tags",
        "remove_tags",
        "status",
        "initial_status",
        "campaignId",
    ),
]
texts = st.sampled_from(TELLING) | any_text
values = json_of(texts)
ids = st.sampled_from(["m1", "m2", "m3"])
calls = st.builds(
    lambda name, fields: {**json.loads(call(name)), **fields},
    ids,
    st.dictionaries(texts, values, max_size=3)
    | st.builds(
        lambda kind, where, what: {"type": kind, where: what},
        st.sampled_from(["identify", "track", "alias", "page", "group", "delete"]),
        st.sampled_from(["traits", "properties", "context", "integrations", "messageId"]),
        values,
    ),
)
wrapped = calls.map(lambda each: {"json": each})
bodies = (
    st.binary(max_size=200)
    | values.map(to_body)
    | st.lists(calls | wrapped | values, max_size=6).map(to_body)
    | st.tuples(
        st.lists(calls, max_size=4).map(to_body), st.integers(0, 800), st.binary(max_size=3)
    ).map(lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :])
    | (calls | wrapped).map(to_body)
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One database for all examples; each finds its table empty."""
    engine = open_database(make_url(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/bridge.db"))
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def fuzzed(engine: Engine) -> Iterator[Flask]:
    # a line an example would bury the one example that fails
    log = logging.getLogger("app")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield webhook_over(GroupCommit(Store(engine, "drip")))
    log.setLevel(before)


def posted(app: Flask, engine: Engine, body: bytes) -> tuple[dict[str, Any], list[Row[Any]]]:
    """Post it to an empty bridge; the answer, and what is kept."""
    with engine.begin() as connection:
        connection.execute(delete(events))
    response = app.test_client().post(PATH, data=body, headers={"X-Signature": sign(body)})
    with engine.begin() as connection:
        rows = list(connection.execute(select(whole).order_by(events.c.id)))
    assert response.status_code == 200
    assert "fault" not in response.get_data(as_text=True)
    return response.get_json(), rows


def count_events(body: bytes) -> int:
    """How many there are, each of which has to be accounted for."""
    try:
        return len(list(elements(body.decode(errors="surrogateescape"))))
    except ValueError:
        return 1


@given(body=bodies)
@example(body=b"")
@example(body=b"[" * 100_000)
@example(body=b'[{"json":' * 100_000)
@example(body=b'{"json":' * 5_000 + b"1" + b"}" * 5_000)
@thoroughly
def test_no_body_is_lost_whatever_its_bytes(fuzzed: Flask, engine: Engine, body: bytes) -> None:
    answer, rows = posted(fuzzed, engine, body)

    counts = {name: answer[name] for name in ("accepted", "duplicates", "ignored", "quarantined")}
    assert sum(counts.values()) == count_events(body)
    assert sum(answer["reasons"]["ignored"].values()) == counts["ignored"]
    assert all(row.raw in body for row in rows)
    pending = [row for row in rows if row.state == "pending"]
    aliases = sum(row.collection == "alias" for row in pending)
    assert len(pending) - aliases == counts["accepted"]
    assert aliases <= answer["reasons"]["ignored"].get("alias", 0)
    set_aside = [row for row in rows if row.state == "quarantined"]
    assert bool(set_aside) is bool(counts["quarantined"])
    assert len(set_aside) <= counts["quarantined"]  # copies are kept once
    assert all(row.payload.isascii() and json.loads(row.payload)["type"] for row in pending)


@given(each=calls)
@thoroughly
def test_an_event_costs_no_neighbour(fuzzed: Flask, engine: Engine, each: Any) -> None:
    event = to_body(each)
    answer, rows = posted(fuzzed, engine, batch([call("before"), event, call("after")]))

    kept = [row.raw for row in rows if row.state == "pending"]
    assert kept[0] == call("before")
    assert kept[-1] == call("after")
    assert answer["accepted"] >= 2
    assert event in {row.raw for row in rows} or answer["ignored"] + answer["duplicates"] == 1


@given(body=bodies, account=any_text.filter(lambda text: "\n" not in text))
@example(body=b"{}", account="//y/")
@thoroughly
def test_no_account_in_the_path_costs_a_body(fuzzed: Flask, body: bytes, account: str) -> None:
    address = f"{PATH}/x{quote(account, errors='replace')}"
    response = fuzzed.test_client().post(address, data=body, query_string={"token": SECRET})
    assert response.status_code == 200
    assert response.get_json()["accepted"] == 0
