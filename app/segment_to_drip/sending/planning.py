"""Choose the next request: a single one or a batch, and what is in it. Pure.

Drip allows 3,600 single requests and 50 batches of 1,000 an hour. A single request is done when it
is answered, but nobody tells when a batch is. So requests are single while few calls wait.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from app.outbox.messages import Claimed
from app.segment_to_drip.sending.budget import Left
from app.segment_to_drip.sending.operations import ALONE, Operation

LARGEST_BATCH = 1_000
"""People, or events, of one batch (docs/development/facts.md § 5)."""

MOST_BYTES = 4_000_000
"""Bytes of one batch. Drip documents no limit, and its servers may have one."""

SMALLEST_BATCH = 100
"""Calls that wait before a batch is sent, while the hour's batches are hardly used."""

MAY_BE_SMALL = 0.1
"""Share of the hour's batches that need not be full. If the calls of a large sync come within
minutes or hours, more of them would make it take an hour longer."""

LONG = 60.0
"""Seconds after which a call has waited for long: then a batch may be smaller."""

Way = Literal["single", "batch"]

Next = Callable[[Claimed], Operation | None]
"""Returns what to send next for a message; None if there is nothing left to send."""


def choose(backlog: int, waited: float, single: Left, batch: Left) -> Way | None:
    """Choose how to send next; None if nothing may be sent now.

    `backlog` is how many calls are due, counted up to `LARGEST_BATCH`; `waited` for how many
    seconds the oldest of them has been due.
    """
    is_hardly_used = batch.used < batch.limit * MAY_BE_SMALL
    if batch.available and backlog >= (SMALLEST_BATCH if is_hardly_used else LARGEST_BATCH):
        return "batch"
    if single.available:
        return "single"
    if batch.available and waited >= LONG:
        return "batch"
    return None


class Planned(NamedTuple):
    """A message, and the operation to send for it."""

    message: Claimed
    operation: Operation


class Batch(NamedTuple):
    """What to send together, and what needs no request any more."""

    planned: list[Planned]
    done: list[Claimed]


def fill_batch(messages: Iterable[Claimed], next_operation: Next) -> Batch:
    """Choose the operations of one batch, all of one kind: the kind of which there are most, but
    rather updates of people than their events. The events of people in a batch wait until it is
    done, so the sooner people are sent, the sooner everything is.

    `messages` are, person by person, what is to be sent of each in its order. Of a person a batch
    takes the calls at the beginning that are of its kind: it is not known in which order Drip works
    on different batches.
    """
    runs: dict[str, list[list[Planned]]] = {"subscriber": [], "event": []}
    alone: list[list[Planned]] = []
    done: list[Claimed] = []
    for _, of_person in groupby(messages, key=lambda message: message.person):
        run = _first_run(of_person, next_operation, done)
        if run:
            runs.get(run[0].operation.kind, alone).append(run)
    people, of_people = runs["subscriber"], runs["event"]
    is_mostly_events = sum(map(_items, of_people)) > 2 * len(people)
    fullest = of_people if is_mostly_events else people
    return Batch(_fitting(fullest) or _first_of(alone), done)


def _first_run(
    messages: Iterable[Claimed], next_operation: Next, done: list[Claimed]
) -> list[Planned]:
    """The person's first calls that can go in one batch. Calls before them that need no request
    are added to `done`."""
    run: list[Planned] = []
    for message in messages:
        operation = next_operation(message)
        if operation is None:
            if not run:
                done.append(message)
                continue
            break
        if run and not _can_follow(run[-1].operation, operation):
            break
        run.append(Planned(message, operation))
        if _stands_alone(operation):
            break
    return run


def _can_follow(last: Operation, operation: Operation) -> bool:
    return operation.kind == last.kind and not _stands_alone(operation)


def _stands_alone(operation: Operation) -> bool:
    """Whether the answer to the operation decides how the person goes on."""
    return operation.introduces or operation.kind in ALONE or "new_email" in operation.item


def _items(run: Sequence[Planned]) -> int:
    """How much room a run takes: the updates of one person are merged into one."""
    return 1 if run[0].operation.kind == "subscriber" else len(run)


def _fitting(runs: Sequence[list[Planned]]) -> list[Planned]:
    """The first runs that fit into one batch. A change of address goes alone: its refusal has to be
    heard, and a batch is silent."""
    chosen: list[Planned] = []
    items, space = LARGEST_BATCH, MOST_BYTES
    for run in runs:
        if "new_email" in run[0].operation.item:
            continue
        fitting = run[:items] if _items(run) > items else run
        space -= sum(len(planned.message.payload) for planned in fitting)
        if chosen and space < 0:
            break
        chosen += fitting
        items -= _items(fitting)
        if items <= 0:
            break
    return chosen or (runs[0][:1] if runs else [])


def _first_of(runs: Sequence[list[Planned]]) -> list[Planned]:
    return runs[0] if runs else []


def call_of(message: Claimed) -> Mapping[str, object]:
    """The call that is kept in a message."""
    call: Mapping[str, object] = json.loads(message.payload)
    return call
