"""Whatever an SDK posts is kept or ignored, call by call, and nothing is answered 5xx."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, Row, delete, select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import events, whole
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.receiving.tracking import PATHS, create_tracking
from tests.support.any_json import any_text, json_of, thoroughly, to_body
from tests.support.segment_webhooks import ACCOUNT, call

KEY = "a-write-key-of-ours"

texts = (
    st.sampled_from(
        [
            *("batch", "writeKey", "type", "track", "identify", "event", "userId", "context"),
            *("integrations", "All", "Drip", "timestamp", "sentAt", "messageId", "ip", "library"),
        ]
    )
    | any_text
)
values = json_of(texts)
calls = st.dictionaries(texts, values, max_size=4) | values
bodies = (
    st.binary(max_size=200)
    | calls.map(to_body)
    | st.fixed_dictionaries({"batch": st.lists(calls, max_size=4), "context": values}).map(to_body)
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
    log = logging.getLogger("app")  # a line an example would bury the one example that fails
    before = log.level
    log.setLevel(logging.CRITICAL)
    app = Flask(__name__)
    outbox = GroupCommit(Store(engine, "drip"))
    app.register_blueprint(create_tracking({KEY: ""}, outbox, DripOptions(default_account=ACCOUNT)))
    yield app
    log.setLevel(before)


def posted(app: Flask, engine: Engine, path: str, body: bytes) -> tuple[int, list[Row[Any]]]:
    """Post it to an empty bridge; the status, and what is kept."""
    with engine.begin() as connection:
        connection.execute(delete(events))
    response = app.test_client().post(f"/v1/{path}", data=body, auth=(KEY, ""))
    with engine.begin() as connection:
        rows = list(connection.execute(select(whole).order_by(events.c.id)))
    return response.status_code, rows


@given(path=st.sampled_from(sorted(PATHS)), body=bodies)
@example(path="batch", body=b"[" * 100_000)
@example(path="batch", body=b'{"batch":' * 50_000)
@thoroughly
def test_no_body_is_lost_whatever_its_bytes(
    fuzzed: Flask, engine: Engine, path: str, body: bytes
) -> None:
    status, rows = posted(fuzzed, engine, path, body)
    assert status in (200, 400)
    assert all(row.error != "A fault of the bridge; see its log." for row in rows)
    if status == 400 and len(body) <= 32 << 10:
        assert [row.state for row in rows] == ["quarantined"]


@given(each=calls)
@thoroughly
def test_a_call_costs_no_neighbour(fuzzed: Flask, engine: Engine, each: Any) -> None:
    inside = b",".join([call("before"), to_body(each), call("after")])
    status, rows = posted(fuzzed, engine, "batch", b'{"batch": [%s]}' % inside)
    assert status == 200
    pending = [row for row in rows if row.state == "pending"]
    assert json.loads(pending[0].raw)["messageId"] == "before"
    assert json.loads(pending[-1].raw)["messageId"] == "after"
