"""A clock, a destination that records, and the delivery worker over them."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from app.database.engine import reader
from app.delivery.worker import DeliveryWorker
from app.destination import Destination
from app.outbox.answers import LastAnswer, read_answers
from app.outbox.messages import Message
from app.outbox.store import Store
from tests.support.builders import PretendDestination, message, rows
from tests.support.clock import Clock
from tests.support.fake_segment import OK, Batch, Reply

KEY = "wk-7Jx0Qm"


class Recorder(PretendDestination):
    """A destination that does `behave`, and records the messages of each batch before that."""

    def __init__(self, behave: Callable[[str], None] = lambda _: None) -> None:
        self.behave = behave
        self.batches: list[list[str]] = []

    def key_for(self, account: str) -> str | None:
        return f"key-of-{account}"

    def send(self, key: str, payloads: Sequence[str]) -> str:
        self.batches.append([json.loads(payload)["messageId"] for payload in payloads])
        self.behave(key)
        return ""


def delivery_to(store: Store, destination: Destination, clock: Clock) -> DeliveryWorker:
    return DeliveryWorker(store, destination, clock, chance=lambda: 0.0)


def tracked(message_id: str, account: str = "4417", **changes: Any) -> Message:
    """A message whose payload is a call of its own."""
    call = {
        "type": "track",
        "event": "Email Opened",
        "messageId": message_id,
        "anonymousId": "ana@example.com",
        "properties": {"account_id": account},
    }
    return message(message_id, account=account, **{"payload": json.dumps(call), **changes})


def keep(store: Store, *message_ids: str, account: str = "4417", **changes: Any) -> None:
    store.put([tracked(message_id, account, **changes) for message_id in message_ids])


def names(count: int) -> list[str]:
    return [f"drip-{n:03}" for n in range(count)]


def states(store: Store) -> Counter[str]:
    return Counter(row.state for row in rows(store).values())


def refuse_if(culprit: Callable[[Batch], bool], status: int) -> Callable[[Batch], Reply]:
    body = b'{"code": "invalid", "message": "not to my taste"}'
    return lambda batch: Reply(status, body=body) if culprit(batch) else OK


def holds(message_id: str) -> Callable[[Batch], bool]:
    return lambda batch: message_id in {call["messageId"] for call in batch.calls}


def answers_of(store: Store) -> list[LastAnswer]:
    """The last answer to each key."""
    with reader(store.engine) as connection:
        return [*read_answers(connection, store.destination).values()]


def answer_of(store: Store) -> LastAnswer:
    """The last answer to the one key."""
    (answer,) = answers_of(store)
    return answer
