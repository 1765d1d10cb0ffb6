"""What Segment posts: requests as its own code makes and signs them, and how to sign others."""

import hmac
import json
from typing import Any

from tests.support.bridge_process import ROOT

SECRET = "a-secret-of-many-letters"


def sign(body: bytes, secret: str = SECRET) -> str:
    """What `X-Signature` is for a body."""
    return hmac.digest(secret.encode(), body, "sha1").hex()


def segment_webhooks() -> list[dict[str, Any]]:
    """Requests with their headers, and what is expected of them."""
    path = ROOT / "tests" / "golden" / "segment_webhooks.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
