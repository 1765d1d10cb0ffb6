"""Attack 18: bodies made to break what reads them, from a sender with the right token."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.database.tables import whole
from tests.faults.attacks import post
from tests.faults.conftest import scaled
from tests.faults.ledger import event, read
from tests.support.bridge_process import BridgeProcess
from tests.support.wire import Wire

GOOD = event(1)
DEEP = 100_000


def put_in(value: bytes) -> bytes:
    """An event with a property more, spelt as given."""
    return event(1).replace(b'"delivery_id"', b'"extra": ' + value + b', "delivery_id"')


def dressed(**members: Any) -> bytes:
    return json.dumps({**json.loads(GOOD), **members}).encode()


QUARANTINED = {
    "arrays without end": b"[" * DEEP,
    "arrays, ended": b"[" * DEEP + b"]" * DEEP,
    "objects without end": b'{"event":' * DEEP,
    "a property as deep": put_in(b"[" * DEEP + b"]" * DEEP),
    "a number of 5,000 digits": put_in(b"9" * 5_000),
    "a fraction that is infinite": put_in(b"1e400"),
    "minus that": put_in(b"-1e400"),
    "NaN": put_in(b"NaN"),
    "Infinity": put_in(b"-Infinity"),
    "a NUL in a string": put_in(b'"a\x00b"'),
    "NULs": b"\x00" * 1_000,
    "a NUL behind": GOOD + b"\x00",
    "nothing": b"",
    "blanks": b" \r\n\t" * 1_000,
    "Latin-1": put_in('"café"'.encode("latin-1")),
    "an unfinished letter": put_in(b'"\xe2\x82"'),
    "UTF-7": GOOD.decode().replace('"', "+ACI-").encode(),
    "UTF-32 cut": GOOD.decode().encode("utf-32")[:-2],
    "gzip": gzip.compress(GOOD),
    "two events": GOOD + GOOD,
    "a list of events": b"[" + GOOD + b"]",
    "single quotes": GOOD.replace(b'"', b"'"),
    "a form": b"event=subscriber.opened_email&data[email]=x",
    "an escape cut": put_in(b'"\\u00"'),
    "a name as a number": dressed(event=10**400),
    "a time of 4,000 digits": dressed(occurred_at="9" * 4_000),
    "a thousand thousand commas": b"[" + b"," * 1_000_000,
}
ACCEPTED = {
    "duplicate keys, the last counts": GOOD.replace(b'{"event"', b'{"event": "x", "event"', 1),
    "a lone surrogate": put_in(b'"\\ud800"'),
    "a lone surrogate as a name": put_in(b'1, "\\udfff": 2'),
    "a surrogate as bytes": put_in(b'"\xed\xa0\x81"'),
    "a NUL, escaped": put_in(b'"a\\u0000b"'),
    "a byte order mark": b"\xef\xbb\xbf" + put_in(b"1"),
    "UTF-16": put_in(b"2").decode().encode("utf-16"),
    "UTF-32": put_in(b"3").decode().encode("utf-32-be"),
    "a number of 4,000 digits": put_in(b"9" * 4_000),
    "a fraction that is zero": put_in(b"1e-400"),
    "deep, but not too deep": put_in(b"[" * 50 + b"]" * 50),
    "keys by the thousand": put_in(b"0," + b",".join(b'"k%d":%d' % (n, n) for n in range(1_500))),
}
IGNORED = {
    "a surrogate in the event's name": dressed(event="subscriber.\ud800"),
    "a NUL in the event's name": dressed(event="subscriber.opened_email\x00"),
    "markup in the event's name": dressed(event="<script>alert(1)</script>"),
}
CASES = [
    *((name, body, "quarantined") for name, body in QUARANTINED.items()),
    *((name, body, "accepted") for name, body in ACCEPTED.items()),
    *((name, body, "ignored") for name, body in IGNORED.items()),
]


@pytest.mark.fault(18, "bodies made to break what reads them")
def test_a_hostile_body_is_judged_and_kept_as_it_came(
    bridge: BridgeProcess, engine: Engine, seen: Callable[[str], None]
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    found: Counter[str] = Counter()
    for _ in range(scaled(1, 20)):
        for name, body, expected in CASES:
            fields = b"Content-Encoding: gzip\r\n" if name == "gzip" else b""
            with Wire(bridge.port) as wire:
                wire.send(post(body, fields=fields))
                status, _, said = wire.answer()
            answer = json.loads(said)
            assert status == 200, (name, said)
            verdict = answer["status"].replace("duplicate", "accepted")
            assert verdict == expected, (name, said)
            found[verdict] += 1
    rows = read(engine, select(whole))
    kept = {bytes(row.raw): row.state for row in rows}
    for name, body, expected in CASES:
        state = {"quarantined": "quarantined", "accepted": "pending", "ignored": None}[expected]
        assert kept.get(body) == state, name
    for body in QUARANTINED.values():
        assert f"raw-{sha256(body).hexdigest()}" in {row.message_id for row in rows}
    assert "Traceback" not in bridge.log.read_text()
    seen(", ".join(f"{count} {verdict}" for verdict, count in found.items()) + "; 0 others")
