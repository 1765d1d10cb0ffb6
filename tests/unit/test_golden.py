"""Golden pairs: what Drip posts, and to the letter what becomes of it; one file a rule.

The message ids in them are the promise that the same event has the same id in every version: where
one changes, repeats of events already sent are no longer dropped.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.translate import translate
from app.outbox.messages import Ignored
from tests.support.golden import PAIRS, RECEIVED_AT, read_pair, to_the_letter


def outcome_of(drip: Any) -> dict[str, Any]:
    message = translate(json.dumps(drip).encode(), RECEIVED_AT)
    if isinstance(message, Ignored):
        return {"ignored": message.event}
    if message.payload is None:
        return {"errors": message.errors}
    return {"segment": json.loads(message.payload)}


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_a_golden_body_becomes_exactly_its_outcome(path: Path) -> None:
    pair = read_pair(path)
    why, drip = pair.pop("why"), pair.pop("drip")
    assert to_the_letter(outcome_of(drip)) == to_the_letter(pair), why


@pytest.mark.parametrize("event", COLLECTIONS)
def test_every_email_event_has_a_golden_pair(event: str) -> None:
    pair = read_pair(PAIRS[0].with_name(f"{event.removeprefix('subscriber.')}.json"))
    assert pair["drip"]["event"] == event
    assert pair["segment"]["event"] == COLLECTIONS[event]
