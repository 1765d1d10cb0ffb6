"""Claim, send, decide and settle messages for one destination, until stopped."""

import random
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe
from app.delivery import report
from app.delivery.circuit import Circuit
from app.delivery.decision import Split, decide
from app.delivery.key_answers import KeyAnswers
from app.delivery.report import Fault
from app.destination import Destination, SendError
from app.logs import error_location, get_logger
from app.monitoring import metrics
from app.outbox.answers import Answers
from app.outbox.messages import Lease, Released, Sent, Settlement
from app.outbox.store import Store

log = get_logger(__name__)

TURN = 0.1
"""Seconds for which one key sends batch after batch. Looking for the next key after each batch
would take a tenth of the time (docs/development/performance.md); longer turns would not be fair to
other keys."""

POLL = 0.1
"""Seconds between two looks at the outbox if there was less to send than a full batch."""

LEASE = 30.0
"""Seconds that a lease lasts: more than twice what a destination may take for one batch."""

FAULT_PAUSE = 5.0
"""Seconds to wait after an error of the database or of the bridge."""

STUCK_AFTER = 120.0
"""Seconds without a look at the outbox or an answer after which delivery counts as hung."""

FORWARD = 1_000
"""Messages that are brought forward with one commit, after an outage."""


class DeliveryWorker:
    """Deliver to one destination. Any number may run over one outbox, each in its own thread."""

    def __init__(
        self,
        store: Store,
        destination: Destination,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._destination = destination
        self._clock = clock
        self._chance = chance
        self._stopping = threading.Event()
        self._circuits: defaultdict[str, Circuit] = defaultdict(Circuit)
        """The circuit breaker of each key."""
        self._last_account: dict[str, str] = {}
        """For each key, the account of the last message of its latest batch."""
        self._held: set[str] = set()
        """Accounts without a key that have been logged."""
        self._answers = KeyAnswers(Answers(store.engine, destination.name), clock)
        self._recovering: set[str] = set()
        """Keys that work again, but whose messages are not yet all due again."""
        self._moved_at = time.monotonic()
        self.outcomes: Counter[str] = Counter()
        """How many messages were sent, later, dead or released since the start."""

    def start(self) -> threading.Thread:
        """Run in a thread until `stop` is called."""
        thread = threading.Thread(target=self.run, name="delivery", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Finish the current batch and end. Safe in a signal handler that no other one
        interrupts."""
        self._stopping.set()

    def is_going_on(self) -> bool:
        """Whether the loop looked at the outbox, or had an answer, lately."""
        return time.monotonic() - self._moved_at < STUCK_AFTER

    def run(self) -> None:
        """Deliver until stopped, also after errors."""
        while not self._stopping.is_set():
            self._moved_at = time.monotonic()
            try:
                more = self.deliver_due()
                pause = 0.0 if more else POLL
            except SQLAlchemyError as error:
                log.error("outbox out of reach, trying again", reason=describe(error))  # noqa: TRY400
                pause = FAULT_PAUSE
            except Exception as error:  # noqa: BLE001 - if the loop ended, nothing would be sent
                log.error("fault of the bridge, trying again", reason=error_location(error))  # noqa: TRY400
                pause = FAULT_PAUSE
            self._stopping.wait(pause)

    def drain(self) -> None:
        """Deliver all that is due now, then return."""
        while self.deliver_due() and not self._stopping.is_set():
            pass

    def deliver_due(self) -> bool:
        """Give each key that has messages due one turn. Returns whether more wait."""
        accounts: dict[str, list[str]] = {}
        for account in sorted(self._store.due_accounts(self._clock())):
            key = self._destination.key_for(account)
            if key is None:
                self._log_held(account)
            else:
                accounts.setdefault(key, []).append(account)
        more = False
        for key, of_key in accounts.items():
            more |= self.take_turn(key, of_key)
        return more

    def take_turn(self, key: str, accounts: Sequence[str]) -> bool:
        """Send batches with one key for `TURN` seconds. Returns whether more wait. It begins with
        the account after the last one of the key's previous turn, so that all accounts get their
        share."""
        last = self._last_account.get(key)
        begins = 0 if last is None else bisect_right(accounts, last)
        waiting = deque([*accounts[begins:], *accounts[:begins]])
        ends = time.monotonic() + TURN
        while waiting and not self.is_open(key) and not self._stopping.is_set():
            most = min(len(waiting), self._destination.limits.most_messages)
            chosen = [waiting.popleft() for _ in range(most)]
            lease = self._claim(chosen)
            self.send(key, lease)
            self._last_account[key] = chosen[-1]
            if self._is_full(lease):  # the last account may have more, those after it were left out
                self._last_account[key] = last = lease.messages[-1].account
                waiting.extendleft(reversed(chosen[chosen.index(last) + 1 :]))
                waiting.append(last)
            if time.monotonic() > ends:
                return bool(waiting)
        return False

    def _claim(self, accounts: Sequence[str]) -> Lease:
        now, limits = self._clock(), self._destination.limits
        return self._store.claim(
            accounts, now, now + LEASE, limits.most_messages, limits.most_bytes
        )

    def _is_full(self, lease: Lease) -> bool:
        limits = self._destination.limits
        room = limits.most_bytes - lease.payload_bytes
        return len(lease.messages) == limits.most_messages or room < limits.largest_message

    def send(self, key: str, lease: Lease) -> None:
        """Send the messages of a lease, decide what the answer means for them, and settle them."""
        if not lease.messages:
            return
        began = time.perf_counter()
        answer, note = self._post(key, lease)
        seconds = time.perf_counter() - began
        self._moved_at = time.monotonic()
        report.log_answer(answer, lease, seconds)
        report.count_answer(self._destination.name, answer, seconds)
        outcome, circuit = decide(
            answer,
            lease,
            self._circuits[key],
            self._clock(),
            self._destination.retry,
            self._chance,
        )
        self._circuits[key] = circuit
        if self._answers.note(key, answer, circuit):
            self._recovering.add(key)
        if isinstance(outcome, Split):
            self._send_parts(key, outcome.parts)
            return
        if isinstance(outcome, Sent) and note:
            outcome = replace(outcome, note=note)
        if isinstance(outcome, Sent):
            self.settle_taken(lease, outcome)
            self._bring_forward(key, lease)
            return
        self._settle(lease, outcome)

    def _post(self, key: str, lease: Lease) -> tuple[SendError | None, str]:
        """Send the messages. Returns the destination's refusal, or None and its note."""
        try:
            note = self._destination.send(key, [message.payload for message in lease.messages])
        except SendError as error:
            return error, ""
        except Exception as error:  # noqa: BLE001 - must not stop other messages
            return Fault(f"fault of the bridge: {error_location(error)}"), ""
        return None, note

    def _send_parts(self, key: str, parts: Iterable[Lease]) -> None:
        """Send the parts one after another. If the key's circuit opens, release the rest."""
        for part in parts:
            if self._stopping.is_set() or self.is_open(key):
                self._settle(part, Released(self._clock()))
            elif self._store.renew(part, self._clock() + self.lease_time(len(part.messages))):
                self.send(key, part)
            else:
                report.log_overrun(len(part.messages))

    def lease_time(self, messages: int) -> float:  # noqa: ARG002 - for subclasses
        """Seconds that the lease of a part with so many messages lasts."""
        return LEASE

    def settle_taken(self, lease: Lease, sent: Sent) -> None:
        """Settle messages that the destination took."""
        self._settle(lease, sent)

    def _settle(self, lease: Lease, settlement: Settlement) -> None:
        report.log_outcomes(lease, settlement)
        settled = self._store.settle(lease, settlement)
        self.outcomes += settled
        for outcome, count in settled.items():
            metrics.count_settled(self._destination.name, outcome, count)
        if isinstance(settlement, Sent):
            delivered = ((settlement.at - each.received_at, each.tries) for each in lease.messages)
            metrics.count_delivered(self._destination.name, delivered)
        if settled.total() < len(lease.messages):
            report.log_overrun(len(lease.messages) - settled.total())

    def _bring_forward(self, key: str, lease: Lease) -> None:
        """After an outage, make due what failed in it, so that nothing waits on without need."""
        if key in self._recovering and not self._store.bring_forward(
            self._accounts_of(key, lease), self.forward_to(), FORWARD
        ):
            self._recovering.discard(key)

    def _accounts_of(self, key: str, lease: Lease) -> list[str]:
        """The accounts of a key that have messages waiting."""
        waiting = {*self._store.waiting_accounts(), *lease.accounts}
        return [account for account in waiting if self._destination.key_for(account) == key]

    def forward_to(self) -> float:
        """When what is brought forward is due, in seconds since the epoch."""
        return self._clock()

    def is_open(self, key: str) -> bool:
        """Whether nothing may be sent with the key now."""
        return self._circuits[key].is_open(self._clock())

    def _log_held(self, account: str) -> None:
        if account not in self._held:
            self._held.add(account)
            log.warning("events are held: no key is set for their account", account=account or None)
