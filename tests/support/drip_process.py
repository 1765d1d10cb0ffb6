"""The bridge as processes that also send to Drip what Segment posts."""

from typing import Any

import requests
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_requests import basic
from tests.support.fake_drip_rest import ACCOUNT, TOKEN, FakeDripRest
from tests.support.segment_webhooks import SECRET, sign
from tests.support.waiting import wait_until

LEASE = 1.0
"""Seconds, for tests in which a process dies with a request in hand."""


def send_to_drip(bridge: BridgeProcess, fake: FakeDripRest, **environ: str) -> None:
    """Turn the second direction on, for the processes that are started from here on."""
    bridge.secrets += [SECRET, TOKEN, basic(TOKEN).removeprefix("Basic "), *PEOPLE]
    bridge.environ |= {
        "SEGMENT_WEBHOOK_SECRET": SECRET,
        "DRIP_ACCOUNT_ID": ACCOUNT,
        "DRIP_API_TOKEN": TOKEN,
        "DRIP_API_URL": fake.url,
        **environ,
    }


PEOPLE = ("@people.example", "p1@example.com")
"""What all addresses of such tests have in them."""


def shorten_lease(bridge: BridgeProcess, seconds: float = LEASE) -> None:
    """For the processes that are started from here on: nobody wants to wait out the real lease,
    and the real turn of an account, each time."""
    (bridge.folder / "short_lease.py").write_text(
        "import app.delivery.worker\n"
        "import app.segment_to_drip.sending.delivery\n"
        f"app.delivery.worker.LEASE = app.segment_to_drip.sending.delivery.LEASE = {seconds}\n"
        f"app.segment_to_drip.sending.delivery.TURN_LEASE = 2 * {seconds}\n"
        "from wsgi import app\n"
    )
    bridge.app = "short_lease:app"


def post(bridge: BridgeProcess, body: bytes, first: bytes | None = None) -> requests.Response:
    """Post as Segment does. Of a batch it signs the first event, `first`."""
    return ask(bridge, body, headers={"X-Signature": sign(body if first is None else first)})


def ask(bridge: BridgeProcess, body: bytes, **kwargs: Any) -> requests.Response:
    """Post whatever way."""
    method = kwargs.pop("method", "POST")
    url = f"{bridge.base}/webhooks/segment"
    return requests.request(method, url, data=body, timeout=30, **kwargs)


def wait_until_settled(engine: Engine, seconds: float = 20.0) -> None:
    """Until nothing is to be sent any more."""
    open_states = events.c.state.in_(["pending", "unidentified"])
    query = select(events.c.message_id).where(open_states, events.c.destination == "drip")

    def is_settled() -> bool:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return connection.execute(query.limit(1)).first() is None

    wait_until(is_settled, seconds)
