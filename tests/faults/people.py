"""Who did what in which order, as it was posted, against what Drip has of them."""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import requests

from app.outbox.messages import Message
from app.outbox.store import Store
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import translate
from tests.support.fake_drip_rest import ACCOUNT, HOUR, FakeDripRest
from tests.support.segment_webhooks import batch, sign
from tests.support.waiting import wait_until

Actions = dict[str, list[str]]
"""Address → what the person did, in order."""


def address(person: int | str) -> str:
    return f"{person}@people.example"


def identify(person: int | str) -> bytes:
    """By which the address of the person's userId becomes known."""
    call = {"type": "identify", "messageId": f"{person}-identified", "userId": f"u{person}"}
    return json.dumps({**call, "traits": {"email": address(person)}}).encode()


def track(person: int | str, number: int | str) -> bytes:
    """By the userId alone, as browsers send it."""
    action = f"{person}-{number}"
    call = {"type": "track", "messageId": action, "userId": f"u{person}", "event": action}
    return json.dumps(call).encode()


def action_of(call: bytes) -> str:
    """The action; "" of an identify call."""
    return str(json.loads(call).get("event", ""))


def lives(people: Iterable[int | str], events: int) -> tuple[list[bytes], Actions]:
    """The calls of people who are identified, and then do so many things, all of them at once; and
    what Drip is to have of each in the end."""
    people = list(people)
    rounds = [[identify(person) for person in people]]
    rounds += [[track(person, number) for person in people] for number in range(events)]
    done = {address(who): [f"{who}-{number}" for number in range(events)] for who in people}
    return [call for each in rounds for call in each], done


def keep(store: Store, calls: Iterable[bytes], now: float | None = None) -> None:
    """As the webhook does."""
    options = DripOptions(default_account=ACCOUNT)
    received_at = time.time() if now is None else now
    messages = [translate(call, received_at, ACCOUNT, options) for call in calls]
    store.put([each for each in messages if isinstance(each, Message)])


def done_by(fake: FakeDripRest) -> Actions:
    """What Drip has of each."""
    people = fake.people().items()
    return {email: [event["action"] for event in person.events] for email, person in people}


def assert_kept(fake: FakeDripRest, promised: Actions, twice: Collection[str] = ()) -> set[str]:
    """Each person did what was promised, in that order, and only what is in `twice` came twice.
    Returns what did."""
    wait_until(lambda: not fake.is_at_work())
    found = done_by(fake)
    assert found.keys() == promised.keys()
    again: set[str] = set()
    for email, actions in found.items():
        assert list(dict.fromkeys(actions)) == promised[email], "the first of each"
        assert list(dict.fromkeys(actions[::-1])) == promised[email][::-1], "the last of each"
        again |= {action for action, count in Counter(actions).items() if count > 1}
    assert again <= set(twice)
    assert {person.status for person in fake.people().values()} == {"unsubscribed"}
    return again


def most_in_an_hour(fake: FakeDripRest) -> Counter[str]:
    """The most requests of each bucket that came within any hour."""
    most: Counter[str] = Counter()
    for is_batch in (False, True):
        times = [
            visit.at
            for visit in fake.visits
            if bool(visit.call and visit.call.is_batch) == is_batch
        ]
        bucket = "batches" if is_batch else "requests"
        for last, at in enumerate(times):
            within = sum(at - HOUR < earlier <= at for earlier in times[: last + 1])
            most[bucket] = max(most[bucket], within)
    return most


@dataclass
class Promises:
    """What was answered 200."""

    actions: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ids: set[str] = field(default_factory=set)
    answers: Counter[int | str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Stream:
    """Posts calls of several people as Segment's stream does. What was not answered comes again,
    each time in another batch: with some of the others, and with some that are new."""

    def __init__(
        self, base: str, promises: Promises, threads: int = 3, pause: float = 0.05
    ) -> None:
        self._url = f"{base}/webhooks/segment"
        self._promises = promises
        self._pause = pause
        self._stop = threading.Event()
        self._give_up = threading.Event()
        names = [[f"{number}{letter}" for letter in "abc"] for number in range(threads)]
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in names]

    def __enter__(self) -> "Stream":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Until all is answered that was posted, unless the test has failed."""
        self._stop.set()
        if kind:
            self._give_up.set()
        for thread in self._threads:
            thread.join()

    def _run(self, people: Sequence[str]) -> None:
        chance = random.Random(people[0])
        waiting = {person: [identify(person)] for person in people}
        made = dict.fromkeys(people, 0)
        while not self._stop.is_set() or (any(waiting.values()) and not self._give_up.is_set()):
            if not self._stop.is_set() and sum(map(len, waiting.values())) < 30:
                for _ in range(chance.randrange(4)):
                    person = chance.choice(people)
                    waiting[person].append(track(person, made[person]))
                    made[person] += 1
            chosen = {person: chance.randint(0, len(calls)) for person, calls in waiting.items()}
            if any(chosen.values()) and self._post(
                [c for p in people for c in waiting[p][: chosen[p]]]
            ):
                for person, count in chosen.items():
                    with self._promises.lock:
                        self._promises.actions[address(person)] += [
                            action
                            for call in waiting[person][:count]
                            if (action := action_of(call))
                        ]
                    del waiting[person][:count]
            time.sleep(self._pause)

    def _post(self, calls: Sequence[bytes]) -> bool:
        headers = {"X-Signature": sign(calls[0])}
        try:
            answer = requests.post(self._url, batch(calls), headers=headers, timeout=30)
        except requests.RequestException as error:
            kind: int | str = type(error).__name__
        else:
            kind = answer.status_code
        with self._promises.lock:
            self._promises.answers[kind] += 1
            if kind == 200:
                self._promises.ids |= {json.loads(call)["messageId"] for call in calls}
        return kind == 200
