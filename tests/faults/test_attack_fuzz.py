"""Attack 21: requests of every shape, over kept connections, as many as there is time for."""

import json
import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.attacks import WEBHOOK
from tests.faults.conftest import scaled
from tests.faults.ledger import event
from tests.support.bridge_process import TOKEN, BridgeProcess
from tests.support.wire import Wire

METHODS = [*["POST"] * 12, "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]
TARGETS = [
    *[WEBHOOK] * 12,
    *("/", "//", "/webhooks", "/webhooks/drip", "/webhooks/drip/", "/static/x", "/%00", "/..", "*"),
    *("/webhooks/drip?token", "/webhooks/drip?token=&token=", "/webhooks/drip?%zz=%", "/?&=&&==&"),
    *(f"/webhooks/drip?token=x&token={TOKEN}", f"/webhooks/drip;a?token={TOKEN}"),
]
FIELDS = [
    *("Content-Type: application/json", "Content-Type: text/plain; charset=utf-9", "Content-Type:"),
    *("Content-Type: multipart/form-data; boundary=", "Content-Encoding: gzip", "Accept: */*;q=x"),
    *(
        "Authorization: Basic",
        "Authorization: Basic \xff",
        "Authorization: Basic Og==",
        "Cookie: =",
    ),
    *("X-Forwarded-For: \t,,", "X-Forwarded-Proto: ftp", "If-None-Match: *", "Range: bytes=9-1"),
    *("Connection: keep-alive, x", "Accept-Encoding: \xe9", "Upgrade: h2c", "Via: 1.1 \xfe"),
]
VALUES: list[object] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "x",
    "\ud800",
    "\x00",
    "é" * 99,
    [],
    {},
    [[]],
]
TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"1e999", b"\\u0000", b"\xff", b"\x00"]
BROKEN = [b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nX\r\n\r\n", b"\x00\r\n\r\n", b"A B C D\r\n\r\n"]


def body(random: random.Random) -> bytes:
    """An event with something put in another's place, or cut, or no event at all."""
    call = json.loads(event(random.randrange(50)))
    place = call
    while isinstance(place, dict) and place:
        key = random.choice(list(place))
        if not isinstance(place[key], dict) or random.random() < 0.3:
            place[key if random.random() < 0.7 else "x"] = random.choice(VALUES)
            break
        place = place[key]
    if random.random() < 0.2:
        call.pop(random.choice(list(call)))
    made = json.dumps(call, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    match random.randrange(6):
        case 0:
            cut = random.randrange(len(made))
            return made[:cut] + random.choice(TOKENS) + made[cut + random.randrange(3) :]
        case 1:
            return b"".join(random.choices(TOKENS, k=random.randrange(30)))
        case 2:
            return random.randbytes(random.randrange(60))
    return made


def request(random: random.Random) -> tuple[str, bytes]:
    """The method, and the whole request; framed well, but for a few."""
    if random.random() < 0.02:
        return "POST", random.choice(BROKEN)
    method, made = random.choice(METHODS), body(random)
    lines = [f"{method} {random.choice(TARGETS)} HTTP/1.1", "Host: example.com"]
    lines += random.choices(FIELDS, k=random.randrange(4))
    if random.random() < 0.2:
        lines.append("Transfer-Encoding: chunked")
        cut = random.randrange(len(made) + 1)
        pieces = [b"%x\r\n%s\r\n" % (len(p), p) for p in (made[:cut], made[cut:]) if p]
        made = b"".join(pieces) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(made)}")
    return method, "\r\n".join([*lines, "", ""]).encode("latin-1") + made


@pytest.mark.fault(21, "random requests over kept connections, from a fixed seed")
def test_no_request_ends_in_a_5xx(attacked: BridgeProcess, seen: Callable[[str], None]) -> None:
    found: Counter[int] = Counter()
    source = random.Random(21)
    wire = Wire(attacked.port)
    for number in range(scaled(2_000, 100_000)):
        method, sent = request(source)
        wire.send(sent)
        answer = wire.answer(to=method)
        assert answer.status < 500, (number, sent, answer)
        assert answer.status != 429, (number, sent, answer)
        assert b"Traceback" not in answer.body
        found[answer.status] += 1
        if answer.headers.get("connection", "").lower() == "close":
            wire.close()
            wire = Wire(attacked.port)
    wire.close()
    log = attacked.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert log.count("Booting worker") == 1
    seen(", ".join(f"{count:,} times {status}" for status, count in sorted(found.items())))
