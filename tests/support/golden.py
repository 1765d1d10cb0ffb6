"""Golden pairs: what Drip posts, and what becomes of it; one file a rule."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segment.analytics.version import VERSION as SDK_VERSION

from app.version import VERSION
from tests.support.bridge_process import ROOT

PAIRS = sorted((ROOT / "tests" / "golden" / "drip_to_segment").glob("*.json"))


RECEIVED_AT = datetime(2026, 11, 2, 9, 31, 7, 250_000, UTC).timestamp()


def read_pair(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    text = text.replace("<bridge version>", VERSION).replace("<sdk version>", SDK_VERSION)
    pair: dict[str, Any] = json.loads(text)
    return pair
