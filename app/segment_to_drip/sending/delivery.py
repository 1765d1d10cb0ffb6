"""Deliver calls to Drip within its limits, each person's in the order in which they came."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from app.delivery.key_answers import LONG
from app.delivery.worker import LEASE, TURN, DeliveryWorker
from app.destination import RateLimited
from app.outbox.messages import Claimed, Failed, Lease, Released, Sent, Settlement
from app.outbox.ordered import OrderedStore
from app.outbox.turns import Turns
from app.segment_to_drip.destination import DripDestination, account_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identities import Identities
from app.segment_to_drip.people.sent import NOBODY, People
from app.segment_to_drip.sending.answers import new_email_of
from app.segment_to_drip.sending.budget import DatabaseBudget
from app.segment_to_drip.sending.operations import Operation, Person, next_operation, remember
from app.segment_to_drip.sending.planning import (
    LARGEST_BATCH,
    Next,
    Planned,
    call_of,
    choose,
    fill_batch,
)

MOST_HEADS = 3_000
MOST_FOLLOWERS = 5_000
"""Calls that are read to fill one batch: of some people the next call is of another kind."""

LONGEST_REST = 60.0
"""Seconds without a look at an account whose requests of the hour are used up."""

TURN_LEASE = 2 * LEASE
"""Seconds that a turn lasts: longer than any request, so that when another process takes over,
nothing of this one is under way."""


class DripDelivery(DeliveryWorker):
    """Deliver to Drip. Any number may run over one outbox, but only one at a time sends for an
    account: more would not be faster within Drip's limits, and so a person's calls keep their order
    and no two requests for one person are ever under way."""

    def __init__(
        self,
        store: OrderedStore,
        destination: DripDestination,
        budget: DatabaseBudget,
        identities: Identities,
        options: DripOptions,
        settle_time: float,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`settle_time` is how many seconds Drip may work on a batch."""
        super().__init__(store, destination, clock, chance)
        self._ordered = store
        self._budget = budget
        self._identities = identities
        self._options = options
        self._settle_time = settle_time
        self._people = People(store.engine, destination.name)
        self._turns = Turns(store.engine, destination.name)
        self._holder = uuid4().hex
        self._held_back: dict[str | None, float] = {}
        """People whose calls wait while the parts of a refused batch are sent → until when."""

    def take_turn(self, key: str, accounts: Sequence[str]) -> bool:
        """Send for one account for `TURN` seconds. Returns whether more waits."""
        account = account_of(key)
        for other in set(accounts) - {account}:  # that named none; it is this one's
            self._ordered.move(other, account)
        if not self._keep_turn(account):
            return False
        try:
            return self._work(key, account)
        finally:
            self._turns.end(account, self._holder)

    def _keep_turn(self, account: str) -> bool:
        now = self._clock()
        return self._turns.take(account, self._holder, now, now + TURN_LEASE)

    def _work(self, key: str, account: str) -> bool:
        ends = time.monotonic() + TURN
        while not self._stopping.is_set():
            found = self._identities.identify(account, self._clock())
            if not found and (self.is_open(key) or not self._send_next(key, account)):
                return False
            if time.monotonic() > ends:
                return True
        return False

    def _send_next(self, key: str, account: str) -> bool:
        """Send the next request. Returns False if nothing may be sent now."""
        now = self._clock()
        backlog = self._ordered.count_due(account, now, LARGEST_BATCH)
        if not backlog:
            return False
        left = self._budget.left(account)
        waited = now - (self._ordered.oldest_due(account, now) or now)
        way = choose(backlog, waited, left["requests"], left["batches"])
        if way is None:
            frees_at = min(bucket.frees_at for bucket in left.values())
            self._rest(key, min(max(frees_at - now, 1.0), LONGEST_REST))
            return False
        messages = self._ordered.heads(account, now, MOST_HEADS if way == "batch" else 1)
        if way == "batch":
            messages = self._with_followers(account, now, messages)
        planned = self._plan(account, messages)
        if len(planned) == 1 and not left["requests"].available:  # one call makes no batch
            self._rest(key, LONGEST_REST)
            return False
        if planned:
            self._held_back.clear()
            super().send(key, self._lease(planned, self._clock()))
        return bool(messages)

    def _with_followers(self, account: str, now: float, heads: Sequence[Claimed]) -> list[Claimed]:
        """All calls of the heads' people that may be sent, person by person."""
        of_person: dict[str | None, list[Claimed]] = {head.person: [] for head in heads}
        people = [head.person or "" for head in heads]
        for message in self._ordered.followers(account, now, people, MOST_FOLLOWERS):
            of_person[message.person].append(message)
        return [message for messages in of_person.values() for message in messages]

    def _plan(self, account: str, messages: Sequence[Claimed]) -> list[Planned]:
        """Choose what to send together. Calls that need no request are settled."""
        people = self._people.load(account, {_name_of(message) for message in messages})
        batch = fill_batch(messages, self._next_for(people))
        if batch.done:
            now = self._clock()
            self._settle(self._ordered.lease(batch.done, now, now + LEASE), Sent(now))
        return batch.planned

    def send(self, key: str, lease: Lease) -> None:
        """Send a part of a batch that Drip refused, unless it is another process's turn by now:
        the parts may take longer than a turn lasts. Calls of people in `_held_back` go back: Drip
        took a part with them, or an earlier call of theirs has to wait."""
        now = self._clock()
        if not self._keep_turn(lease.messages[0].account):
            self._settle(lease, Released(now))
            return
        free: list[Claimed] = []
        held: dict[float, list[Claimed]] = {}
        for message in lease.messages:
            until = self._held_back.get(message.person)
            (free if until is None else held.setdefault(until, [])).append(message)
        for until, messages in held.items():
            self._settle(lease.only(messages), Released(until))
        super().send(key, lease.only(free))

    def _next_for(self, people: dict[str, Person]) -> Next:
        """What to send next for each message, as if the ones before it were sent: in one batch a
        person may enter an audience and leave it again."""

        def next_for(message: Claimed) -> Operation | None:
            name = _name_of(message)
            operation = next_operation(call_of(message), name, people[name], self._options)
            if operation:
                people[name] = remember(people[name], operation)
            return operation

        return next_for

    def _lease(self, planned: Sequence[Planned], now: float) -> Lease:
        """Lease the messages, with what is to be sent for them as their payloads."""
        texts = {message.id: operation.to_json() for message, operation in planned}
        until = now + self.lease_time(len(planned))
        lease = self._ordered.lease([message for message, _ in planned], now, until)
        return lease.only(message._replace(payload=texts[message.id]) for message in lease.messages)

    def lease_time(self, messages: int) -> float:
        """Seconds that a lease lasts. If this process dies after Drip took a batch, it is not sent
        again before Drip is done with it."""
        return LEASE if messages == 1 else LEASE + self._settle_time

    def settle_taken(self, lease: Lease, sent: Sent) -> None:
        """Remember what Drip took, before the messages are settled: what is sent twice because of a
        crash in between is then less. A call whose person was only introduced is due again."""
        account = lease.messages[0].account
        operations = [Operation.from_json(message.payload) for message in lease.messages]
        people = self._people.load(account, {_name_of(message) for message in lease.messages})
        introduced: list[Claimed] = []
        ended: list[Claimed] = []
        for message, operation in zip(lease.messages, operations, strict=True):
            name = _name_of(message)
            people[name] = remember(people[name], operation)
            if new_email := new_email_of(operation, sent.note):
                people |= {name: NOBODY, new_email: people[name]}
            (introduced if operation.introduces else ended).append(message)
        is_batch = len(operations) > 1
        busy_until = sent.at + self._settle_time if is_batch else 0.0
        self._people.save(account, people, busy_until)
        if is_batch:
            self._ordered.delay(account, {m.person or "" for m in lease.messages}, busy_until)
            self._held_back |= {message.person: busy_until for message in lease.messages}
        if introduced:  # not an outcome: the call itself is still to be sent
            due = max(sent.at, busy_until)
            self._store.settle(lease.only(introduced), Released(due))
        if ended:
            self._settle(lease.only(ended), sent)

    def _settle(self, lease: Lease, settlement: Settlement) -> None:
        """Settle, and hold back the persons of what is still to be sent. A batch that failed may
        have been taken all the same, so it waits until Drip is done with it."""
        if isinstance(settlement, Failed) and len(lease.messages) > 1:
            done_at = self._clock() + self._settle_time
            due = {id_: max(at, done_at) for id_, at in settlement.due.items()}
            settlement = replace(settlement, due=due)
        super()._settle(lease, settlement)
        for message in lease.messages:
            if isinstance(settlement, Released):
                self._held_back.setdefault(message.person, settlement.due)
            elif isinstance(settlement, Failed) and message.id in settlement.due:
                self._held_back[message.person] = settlement.due[message.id]

    def forward_to(self) -> float:
        """When what is brought forward is due: a batch that failed may have been taken all the
        same, so not before Drip is done with it."""
        return self._clock() + self._settle_time

    def _rest(self, key: str, seconds: float) -> None:
        """Send nothing for a while, because all requests of the hour are used up."""
        self._circuits[key] = self._circuits[key].open(self._clock(), seconds)
        limited = RateLimited("all requests of the hour are used up", LONG)
        self._answers.note(key, limited, self._circuits[key])


def _name_of(message: Claimed) -> str:
    """By what Drip is to find the person. The address is not that of `person`, by which calls are
    in order, if it changes (`Move.order_of`)."""
    return message.email or message.person or ""
