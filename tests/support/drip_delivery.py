"""Calls for Drip as they are kept, and a deliverer of them over a clock that tests set."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from app.outbox.messages import Lease, Message
from app.outbox.ordered import OrderedStore
from app.outbox.store import Store
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.expiry import Expiry
from app.segment_to_drip.people.identities import Identities
from app.segment_to_drip.sending.budget import DatabaseBudget
from app.segment_to_drip.sending.delivery import DripDelivery
from tests.support.builders import ACCOUNT as BUILT_FOR
from tests.support.builders import message
from tests.support.clock import Clock
from tests.support.fake_drip_rest import ACCOUNT, TOKEN, FakeDripRest
from tests.support.pretend_budget import PretendBudget

HOLD = 24 * 3600.0
SETTLE = 600.0


def identify(
    name: str, email: str | None = None, user: str | None = None, **changes: Any
) -> Message:
    """An identify call with this message id; `changes` are keys of the call."""
    who = [[kind, value] for kind, value in (("email", email), ("user", user)) if value]
    call = {"type": "identify", "who": who, "subscriber": {}, "once": {}, **changes}
    return kept(name, {"user_id": user, "anonymous_id": None, **call})


def track(name: str, email: str | None = None, user: str | None = None, **changes: Any) -> Message:
    """A track call with this message id, which is its action too."""
    who = [[kind, value] for kind, value in (("email", email), ("user", user)) if value]
    call = {"type": "track", "who": who, "event": {"action": name}, **changes}
    return kept(name, {"user_id": user, "anonymous_id": None, **call})


def campaign(name: str, email: str, campaign_id: str) -> Message:
    """The place in a campaign that an identify call asks for."""
    call = {"type": "campaign", "who": [["email", email]], "campaign_id": campaign_id}
    subscriber = {"reactivate_if_removed": False}
    return kept(name, {"user_id": None, "anonymous_id": None, "subscriber": subscriber, **call})


def kept(name: str, call: dict[str, Any]) -> Message:
    return message(
        name,
        account=ACCOUNT,
        person="",
        collection=call["type"],
        payload=json.dumps({"left_out": {}, **call}),
    )


class DripRecorder(DripDestination):
    """Drip with a token for one account. It does `behave`, and records the addresses of each batch
    before that."""

    def __init__(self, account: str, behave: Callable[[str], None] = lambda _: None) -> None:
        super().__init__({account: TOKEN}, None, PretendBudget())
        self.behave = behave
        self.batches: list[list[str]] = []

    def send(self, key: str, payloads: Sequence[str]) -> str:
        self.batches.append([json.loads(payload)["item"]["email"] for payload in payloads])
        self.behave(key)
        return ""


def delivery_to_drip(
    engine: Engine,
    destination: DripDestination,
    clock: Clock,
    budget: DatabaseBudget | None = None,
    options: DripOptions | None = None,
) -> DripDelivery:
    """A delivery that waits as a bridge does whose settings say nothing else."""
    limits = {"requests": 3_600, "batches": 50}
    return DripDelivery(
        OrderedStore(engine, destination.name),
        destination,
        budget or DatabaseBudget(engine, destination.name, limits, clock),  # type: ignore[arg-type]
        Identities(engine, destination.name, HOLD),
        options or DripOptions(),
        SETTLE,
        clock,
        chance=lambda: 0.0,
    )


def claim_in_order(store: Store, now: float, account: str = BUILT_FOR) -> Lease:
    """Lease for 30 seconds the next call of each person, as `DripDelivery` does."""
    assert isinstance(store, OrderedStore)
    Identities(store.engine, store.destination, HOLD).identify(account, now)
    return store.lease(store.heads(account, now, 100), now, now + 30)


@dataclass
class DripDeliverer:
    """A deliverer over an engine, which sends to a fake Drip."""

    engine: Engine
    fake: FakeDripRest
    clock: Clock
    options: DripOptions = field(default_factory=DripOptions)
    requests_per_hour: int = 3_600
    batches_per_hour: int = 50

    def __post_init__(self) -> None:
        self.store = OrderedStore(self.engine, DripDestination.name)
        limits = {"requests": self.requests_per_hour, "batches": self.batches_per_hour}
        budget = DatabaseBudget(self.engine, DripDestination.name, limits, self.clock)  # type: ignore[arg-type]
        self.expiry = Expiry(self.engine, DripDestination.name)
        self.identities = Identities(self.engine, DripDestination.name, HOLD)
        destination = DripDestination({}, (ACCOUNT, TOKEN), budget, self.fake.url)
        self.delivery = delivery_to_drip(self.engine, destination, self.clock, budget, self.options)

    def put(self, *messages: Message) -> None:
        """Keep messages, as received now."""
        self.store.put([each._replace(received_at=self.clock.now) for each in messages])

    def drain(self) -> None:
        """Send all that is due."""
        self.delivery.drain()

    def waiting(self) -> bool:
        """Whether anything is still to be sent."""
        return bool(self.store.due_accounts(float("inf")))

    def run(self, seconds: float, step: float = 5.0) -> None:
        """Go on for so long, and send whenever something is due."""
        ends = self.clock.now + seconds
        while self.clock.now < ends:
            self.drain()
            self.clock.now += step
        self.drain()
