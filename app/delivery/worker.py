"""Claim → send → settle, until told to stop.

Knows neither vendor: a destination has a key for each account, takes payloads, and says by the kind
of its error what a failure means (app/errors.py).
"""

import logging
import random
import threading
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe
from app.delivery import retry as backoff
from app.errors import Forbidden, InvalidKey, RetryableError, SendError, Unreachable
from app.logs import get_logger, where
from app.monitoring import metrics
from app.outbox.messages import Attempt, Claimed, Lease
from app.outbox.store import Store

log = get_logger(__name__)

TURN = 0.1
"""Seconds for which a key's batches follow one another: to ask whose turn it is after each one
takes a tenth of the time (docs/performance.md), to let others wait longer is not fair."""

POLL = 0.1
"""Seconds between looks at the outbox when there was less to do than a full batch."""

LEASE = 30.0
"""Seconds. More than twice what a destination may take over one batch."""

MOST_EVENTS = 100
MOST_BYTES = 474_000
"""Of payloads; with the separators and the envelope around them a body stays under 475,000."""

LARGEST_EVENT = 32 * 1024

KEY_PAUSE = 60.0
"""Seconds until a refused key is tried again: time for a person to mend a setting."""

NOT_PASSING = 3
"""Failures in a row, some 20 seconds of them: what lasts so long does not pass by itself."""

GOOD_FOR = 600.0
"""Seconds for which a key that was good is believed in, whatever is said of an event."""

FORBIDDEN_ALONE = 3
"""Events that are refused alone, one after another, until that is the key's fault."""

FAULT_PAUSE = 5.0


class Destination(Protocol):
    """Where events go."""

    def key_for(self, account: str) -> str | None:
        """The key to send this account's events with; None holds them."""

    def send(self, key: str, payloads: Sequence[str]) -> None:
        """Hand over one batch. Raises a `SendError` of one kind or another."""


class DeliveryWorker:
    """One deliverer. Any number may run over one outbox, each in a thread of its own."""

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
        self._paused: dict[str, tuple[float, float]] = {}
        self._latest: dict[str, str] = {}
        """The account with which its latest batch ended, by key."""
        self._not_reached: dict[str, int] = {}
        """How often in a row, by key."""
        self._good_at: dict[str, float] = {}
        """When the latest batch was taken, by key; none since it was refused."""
        self._forbidden: dict[str, set[int]] = {}
        """Events that were refused alone, by key, since its latest batch was taken."""
        self._told_held: set[str] = set()
        self._accepted: set[str] = set()
        """Accounts whose key was good for the latest batch."""
        self.outcomes: Counter[str] = Counter()
        """Events by what became of them here: sent, later, dead, released."""

    def start(self) -> threading.Thread:
        """Run in a thread; `stop` ends it."""
        thread = threading.Thread(target=self.run, name="delivery", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Finish the batch in hand and end. Safe in a signal handler that no other interrupts."""
        self._stopping.set()

    def run(self) -> None:
        """Deliver until stopped, whatever fails."""
        while not self._stopping.is_set():
            try:
                more = self.deliver_due()
                pause = 0.0 if more else POLL
            except SQLAlchemyError as error:
                log.error("outbox out of reach, trying again", reason=describe(error))  # noqa: TRY400
                pause = FAULT_PAUSE
            except Exception as error:  # noqa: BLE001 - a loop that ended would look like silence
                log.error("fault of the bridge, trying again", reason=where(error))  # noqa: TRY400
                pause = FAULT_PAUSE
            self._stopping.wait(pause)

    def drain(self) -> None:
        """Deliver all that is due now, and return."""
        while self.deliver_due() and not self._stopping.is_set():
            pass

    def deliver_due(self) -> bool:
        """Send what fits into a turn for each key that has events due; whether more wait."""
        accounts: dict[str, list[str]] = {}
        for account in sorted(self._store.due_accounts(self._clock())):
            key = self._destination.key_for(account)
            if key is None:
                self._tell_held(account)
            else:
                accounts.setdefault(key, []).append(account)
        more = False
        for key, of_key in accounts.items():
            more |= self._take_turn(key, of_key)
        return more

    def _take_turn(self, key: str, accounts: Sequence[str]) -> bool:
        """Send full batches for a moment, and one that is not; whether there are more. The first
        accounts are those that come after the last ones of its turn before."""
        begins = bisect_right(accounts, self._latest[key]) if key in self._latest else 0
        waiting = deque([*accounts[begins:], *accounts[:begins]])
        ends = time.monotonic() + TURN
        while waiting and not self._is_paused(key) and not self._stopping.is_set():
            asked = [waiting.popleft() for _ in range(min(len(waiting), MOST_EVENTS))]
            lease = self._claim(asked)
            self._send(key, lease)
            self._latest[key] = asked[-1]
            if _is_full(lease):  # the last one of it may have more, and those behind had no turn
                self._latest[key] = last = lease.events[-1].account
                waiting.extendleft(reversed(asked[asked.index(last) + 1 :]))
                waiting.append(last)
            if time.monotonic() > ends:
                return bool(waiting)
        return False

    def _claim(self, accounts: Sequence[str]) -> Lease:
        now = self._clock()
        return self._store.claim(accounts, now, now + LEASE, MOST_EVENTS, MOST_BYTES)

    def _send(self, key: str, lease: Lease) -> None:
        if not lease.events:
            return
        began = time.perf_counter()
        error = self._post(key, lease)
        if not isinstance(error, Unreachable):
            self._not_reached.pop(key, None)
        about = {
            "events": len(lease.events),
            **_whose(lease),
            "attempt": max(event.tries for event in lease.events) + 1,
            "duration": round(time.perf_counter() - began, 4),
        }
        match error:
            case None:
                log.info("sent", **about)
                self._note_sent(key, lease)
            case RetryableError():
                log.warning("not taken, trying again later", reason=str(error), **about)
                self._postpone(key, lease, error)
            case InvalidKey():
                log.error("key refused, pausing it", reason=str(error), **about)
                self._rest(key, lease, error)
            case Unreachable():
                log.error("not reached, trying again soon", reason=str(error), **about)
                self._rest_a_little(key, lease, error)
            case Forbidden():
                log.warning("refused, for the key or an event in it", reason=str(error), **about)
                self._find_forbidden(key, lease, error)
            case _:
                log.warning("refused for an event in it", reason=str(error), **about)
                self._find_culprit(key, lease, error)

    def _post(self, key: str, lease: Lease) -> SendError | None:
        try:
            self._destination.send(key, [event.payload for event in lease.events])
        except SendError as error:
            metrics.count_batch(type(error).__name__)
            return error
        except Exception as error:  # noqa: BLE001 - may not stick, nor hold up other accounts
            metrics.count_batch("Fault")
            return RetryableError(f"fault of the bridge: {where(error)}")
        metrics.count_batch("Sent")
        return None

    def _note_sent(self, key: str, lease: Lease) -> None:
        self._good_at[key] = self._clock()
        self._forbidden.pop(key, None)
        self._settled("sent", lease, self._store.mark_sent(lease, self._clock()))
        # a pause may have been noted before we started
        if new := {event.account for event in lease.events} - self._accepted:
            self._store.clear_pause(*new)
            self._accepted |= new

    def _rest(self, key: str, lease: Lease, error: SendError, behind: float = 0.0) -> None:
        """Nothing is wrong with the events: they go back untried, `behind` those that are due by so
        many seconds, and the pause is recorded with its reason."""
        now = self._clock()
        self._pause(key, KEY_PAUSE)
        self._good_at.pop(key, None)
        self._give_back(lease, now + behind, error)
        self._note_pause(lease.accounts, now + KEY_PAUSE, error)

    def _rest_a_little(self, key: str, lease: Lease, error: Unreachable) -> None:
        """It may pass by itself, as a DNS failure does. If it does not, the pause is recorded."""
        now = self._clock()
        failures = self._not_reached[key] = self._not_reached.get(key, 0) + 1
        seconds = min(backoff.pause(failures, None, self._chance()), KEY_PAUSE)
        self._pause(key, seconds)
        self._give_back(lease, now, error)
        if failures >= NOT_PASSING:
            self._note_pause(lease.accounts, now + seconds, error)

    def _give_back(self, lease: Lease, due: float, error: SendError) -> None:
        why = f"{error} {error.words}".strip()
        self._settled("released", lease, self._store.release(lease, due, why))

    def _note_pause(self, accounts: Iterable[str], until: float, error: SendError) -> None:
        for account in accounts:
            self._store.note_pause(account, until, str(error))
            self._accepted.discard(account)

    def _find_culprit(self, key: str, lease: Lease, error: SendError) -> None:
        """Halve the batch until who is to blame stands alone; the others are sent."""
        if len(lease.events) == 1:
            self._bury(lease, self._clock(), error)
        else:
            middle = len(lease.events) // 2
            halves = lease.events[:middle], lease.events[middle:]
            self._send_parts(key, map(lease.only, halves))

    def _find_forbidden(self, key: str, lease: Lease, error: Forbidden) -> None:
        """With a key that was good lately one event is to blame, unless several are refused alone,
        one after another: then the key is. With any other key, a single event is sent to see."""
        events = lease.events
        if len(events) > 1:
            # every other one: neighbours are of one mail, as often as not
            parts = (events[::2], events[1::2]) if self._was_good(key) else (events[:1], events[1:])
            self._send_parts(key, map(lease.only, parts))
            return
        alone = self._forbidden.setdefault(key, set())
        alone.add(events[0].id)
        if self._was_good(key) and len(alone) < FORBIDDEN_ALONE:
            self._set_back(lease, error)
        else:
            self._rest(key, lease, error, behind=1.0)  # the next that is sent alone is another

    def _send_parts(self, key: str, parts: Iterable[Lease]) -> None:
        """One after another, for as long as the key does not rest."""
        for part in parts:
            if self._stopping.is_set() or self._is_paused(key):
                self._settled("released", part, self._store.release(part, self._clock()))
            elif self._store.renew(part, self._clock() + LEASE):
                self._send(key, part)
            else:
                _tell_overrun(len(part.events))

    def _postpone(self, key: str, lease: Lease, error: RetryableError) -> None:
        """The key rests too, so that an outage costs the waiting backlog no tries, and the
        destination no hail of requests."""
        self._pause(key, backoff.pause(1, error.asked, self._chance()))
        self._set_back(lease, error, error.asked)

    def _set_back(self, lease: Lease, error: SendError, asked: float | None = None) -> None:
        """Each event waits by its own count of tries."""
        now = self._clock()
        due, given_up = {}, []
        for event in lease.events:
            at = backoff.next_try(event.tries + 1, event.received_at, now, asked, self._chance())
            if at is None:
                given_up.append(event)
            else:
                due[event.id] = at
        if due:
            waiting = lease.only(event for event in lease.events if event.id in due)
            self._settled("later", waiting, self._store.postpone(waiting, due, _failed(error, now)))
        if given_up:
            self._bury(lease.only(given_up), now, error)

    def _bury(self, lease: Lease, now: float, error: SendError) -> None:
        for event in lease.events:
            log.error("dead", reason=str(error), account=event.account or None, **_about(event))
        self._settled("dead", lease, self._store.bury(lease, now, _failed(error, now)))

    def _settled(self, outcome: str, lease: Lease, settled: int) -> None:
        self.outcomes[outcome] += settled
        metrics.count_settled(outcome, settled)
        if log.isEnabledFor(logging.DEBUG):
            for event in lease.events:
                log.debug(outcome, **_about(event))
        if settled < len(lease.events):
            _tell_overrun(len(lease.events) - settled)

    def _pause(self, key: str, seconds: float) -> None:
        now = self._clock()
        self._paused[key] = (now, now + seconds)

    def _is_paused(self, key: str) -> bool:
        """Not if the clock was set back behind the pause's start: nobody waits out that hour."""
        start, end = self._paused.get(key, (0.0, 0.0))
        return start <= self._clock() < end

    def _was_good(self, key: str) -> bool:
        return self._clock() - self._good_at.get(key, float("-inf")) < GOOD_FOR

    def _tell_held(self, account: str) -> None:
        if account not in self._told_held:
            self._told_held.add(account)
            log.warning("events are held: no key is set for their account", account=account or None)


def _whose(lease: Lease) -> dict[str, Any]:
    """The account, or how many."""
    accounts = lease.accounts
    return {"account": accounts[0] or None} if len(accounts) == 1 else {"accounts": len(accounts)}


def _about(event: Claimed) -> dict[str, Any]:
    return {
        "message_id": event.message_id,
        "collection": event.collection,
        "attempt": event.tries + 1,
    }


def _tell_overrun(events: int) -> None:
    log.warning("events were no longer ours: lease overrun", events=events)


def _is_full(lease: Lease) -> bool:
    return len(lease.events) == MOST_EVENTS or lease.payload_bytes > MOST_BYTES - LARGEST_EVENT


def _failed(error: SendError, now: float) -> Attempt:
    return Attempt(now, str(error), error.words)
