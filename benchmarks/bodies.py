"""What the load posts, in compact JSON: from Drip `samples/clicked_email.json`,
told apart by the delivery, and from Segment a track call of a browser, told apart by its id.
"""

import json

from tests.support.bridge_process import ROOT


def body_around() -> tuple[bytes, bytes]:
    """What stands before and after the delivery's id."""
    body = json.loads((ROOT / "samples" / "clicked_email.json").read_text())
    body["data"]["properties"]["delivery_id"] = "\0"
    before, _, after = json.dumps(body, separators=(",", ":")).partition(json.dumps("\0"))
    return f'{before}"'.encode(), f'"{after}'.encode()


TRACK = {
    "anonymousId": "5f2b7c1a-93d0-4b1e-8a57-0c6d1f4e9b32",
    "channel": "client",
    "context": {
        "ip": "203.0.113.7",
        "library": {"name": "analytics.js", "version": "npm:next-1.81.0"},
        "locale": "en-US",
        "page": {
            "path": "/boots",
            "referrer": "https://search.example/",
            "title": "Boots",
            "url": "https://shop.example/boots",
        },
        "timezone": "Europe/Madrid",
        "traits": {"email": "ana@example.com"},
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/144.0",
    },
    "event": "Product Added",
    "integrations": {},
    "messageId": "\0",
    "originalTimestamp": "2026-11-26T10:00:00.000Z",
    "properties": {"currency": "EUR", "price": 89.9, "product_id": "b-17", "quantity": 1},
    "receivedAt": "2026-11-26T10:00:01.500Z",
    "sentAt": "2026-11-26T10:00:01.000Z",
    "timestamp": "2026-11-26T10:00:00.500Z",
    "type": "track",
    "userId": "u-4417",
    "version": 2,
}


def track_around() -> tuple[bytes, bytes]:
    """What stands before and after a track call's id."""
    before, _, after = json.dumps(TRACK, separators=(",", ":")).partition(json.dumps("\0"))
    return f'{before}"'.encode(), f'"{after}'.encode()
