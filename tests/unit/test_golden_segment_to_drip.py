"""Golden pairs: what Segment posts, and to the letter what becomes of it; one file a rule.

Names begin with the number of the rule that they show, or with where else it is said: a4 to a6 are
what Segment's calls look like.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.outbox.messages import Ignored, Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identity import Memory
from app.segment_to_drip.sending.dry_run import DryRun
from app.segment_to_drip.translate import translate
from tests.support.drip_rules import check_request
from tests.support.golden import PAIRS_FOR_DRIP, RECEIVED_AT, read_pair, to_the_letter

ACCOUNT = "8838307"

OF_THIS_VERSION = [f"{number:02}" for number in range(1, 25)] + ["21a"]
"""All rules but 25: it is about tokens."""


def outcome_of(segment: Any, before: Sequence[Any] = (), **options: Any) -> dict[str, Any]:
    """What becomes of a call of a person of whom nothing was sent but these calls."""
    chosen = DripOptions(default_account=ACCOUNT, **options)
    run = DryRun(ACCOUNT, chosen)
    for earlier in before:
        kept = _translated(earlier, chosen)
        assert isinstance(kept, Message)
        run.take(kept)
    message = _translated(segment, chosen)
    if isinstance(message, Ignored):
        return {"ignored": message.reason}
    if message.payload is None:
        return {"errors": message.errors}
    call = json.loads(message.payload)
    if call["type"] == "alias":
        return {"moves": {name: call[name] for name in ("previous_id", "user_id")}}
    left_out = {"left_out": call["left_out"]} if call["left_out"] else {}
    requests = run.take(message)
    if run.waiting:
        return {"waits": Memory({}).find(call).waits_for, **left_out}
    sent = [{"method": each.method, "path": each.path, "body": each.body} for each in requests]
    return {"drip": sent, **left_out}


def _translated(segment: Any, options: DripOptions) -> Message | Ignored:
    return translate(json.dumps(segment).encode(), RECEIVED_AT, ACCOUNT, options)


@pytest.mark.parametrize("path", PAIRS_FOR_DRIP, ids=lambda path: path.stem)
def test_a_golden_call_becomes_exactly_its_outcome(path: Path) -> None:
    pair = read_pair(path)
    why, segment, options = pair.pop("why"), pair.pop("segment"), pair.pop("options", {})
    outcome = outcome_of(segment, pair.pop("before", ()), **options)
    assert to_the_letter(outcome) == to_the_letter(pair), why


@pytest.mark.parametrize("path", PAIRS_FOR_DRIP, ids=lambda path: path.stem)
def test_drip_takes_what_a_golden_call_becomes(path: Path) -> None:
    for request in read_pair(path).get("drip", []):
        assert request["body"] is None or not check_request(request["path"], request["body"])


@pytest.mark.parametrize("rule", OF_THIS_VERSION)
def test_every_rule_has_a_golden_pair(rule: str) -> None:
    assert [path for path in PAIRS_FOR_DRIP if path.name.startswith(f"{rule}_")]
