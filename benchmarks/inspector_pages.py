"""How long the inspector's pages look for their events: `python -m benchmarks.inspector_pages N`.

Fills an SQLite file with N events (default 1,000,000: 3 GB, some minutes) of the width that real
ones have, four in five of them sent, and prints the median and the slowest of 11 looks, at pages
and at the counts of all states.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.drip_to_segment.description import describe
from app.outbox.search import Search, Searched, Wanted
from tests.support.whole_rows import put_whole

COLLECTIONS = {
    "Email Delivered": 500,
    "Email Opened": 300,
    "Email Link Clicked": 150,
    "Email Unsubscribed": 30,
    "Email Bounced": 19,
    "Email Marked as Spam": 1,
}
STATES = {"sent": 800, "pending": 198, "dead": 1, "quarantined": 1}
STEP = 5_000
LOOKS = 11

VIEWS = {
    "newest": Wanted(),
    "one person": Wanted(email="person5@example.com"),
    "pending": Wanted(state="pending"),
    "sent": Wanted(state="sent"),
    "dead, one in 1,000": Wanted(state="dead"),
    "a collection, one in 1,000": Wanted(collection="Email Marked as Spam"),
    "an account that has none": Wanted(account="1"),
    "all that waits": Wanted(state="waiting"),
    "a rare beginning of an address": Wanted(email_prefix="person4321"),
    "a common beginning of an address": Wanted(email_prefix="person"),
    "a part of every address": Wanted(email_part="@example"),
    "a part of no address": Wanted(email_part="@nowhere"),
    "the beginning of a message id": Wanted(id_prefix=f"drip-{4321:064}"[:-2]),
    "the last hour": Wanted(since=1.8e9 + 999_000),
    "words in every subject": Wanted(words="autumn"),
    "words in no event": Wanted(words="winter"),
}


def fill(engine: Engine, count: int) -> None:
    """Keep the events as they would be after some days."""
    chance = random.Random(7)
    for start in range(0, count, STEP):
        rows = [_row(number, chance) for number in range(start, min(start + STEP, count))]
        with engine.begin() as connection:
            put_whole(connection, rows)


def _row(number: int, chance: random.Random) -> dict[str, Any]:
    (state,) = chance.choices(list(STATES), list(STATES.values()))
    (collection,) = chance.choices(list(COLLECTIONS), list(COLLECTIONS.values()))
    email, at = f"person{number % 50_000}@example.com", 1.8e9 + number
    properties = {"email_subject": "Autumn news", "filling": "x" * 400}
    call = {"event": collection, "userId": f"u-{number}", "properties": properties}
    return {
        "message_id": f"drip-{number:064}",
        "account": "4417",
        "collection": collection,
        "email": email,
        "state": state,
        "payload": None if state == "quarantined" else json.dumps(call),
        "raw": json.dumps({"data": call, "filling": "x" * 500}).encode(),
        "received_at": at,
        "due_at": at,
        "settled_at": None if state == "pending" else at + 1,
        "tries": 1,
    }


def measure(look: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds: the median and the slowest."""
    took = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        look()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), max(took)


def main(count: int) -> None:
    """Fill a file, and look."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(make_url(f"sqlite:///{Path(folder) / 'bridge.db'}"))
        upgrade(engine)
        fill(engine, count)
        search = Search(engine, [Searched("segment", lambda _: "key", describe)])
        report(search, count)
        engine.dispose()


def report(search: Search, count: int) -> None:
    """Print the table."""
    print(f"{count:,} events\n\n| view | what | median ms | slowest ms |\n|---|---|---|---|")
    for name, wanted in VIEWS.items():
        looks: dict[str, Callable[[], object]] = {
            "first page": partial(search.page, wanted, 50),
            "page in the middle": partial(search.page, wanted, 50, count // 2),
            "counts": partial(search.counts, wanted),
        }
        for what, look in looks.items():
            median, slowest = measure(look)
            print(f"| {name} | {what} | {median:.1f} | {slowest:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
