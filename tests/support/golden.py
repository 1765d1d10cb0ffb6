"""Golden pairs: what Drip or Segment posts, and what becomes of it; one file a rule."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segment.analytics.version import VERSION as SDK_VERSION

from app.version import VERSION
from tests.support.bridge_process import ROOT

GOLDEN = ROOT / "tests" / "golden"

PAIRS = sorted((GOLDEN / "drip_to_segment").glob("*.json"))

PAIRS_FOR_DRIP = sorted((GOLDEN / "segment_to_drip").glob("*.json"))

RECEIVED_AT = datetime(2026, 11, 2, 9, 31, 7, 250_000, UTC).timestamp()


def read_pair(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    text = text.replace("<bridge version>", VERSION).replace("<sdk version>", SDK_VERSION)
    pair: dict[str, Any] = json.loads(text)
    return pair


def to_the_letter(value: Any) -> str:
    """As text, in which 1, 1.0 and true are three different things."""
    return json.dumps(value, indent=1, sort_keys=True)
