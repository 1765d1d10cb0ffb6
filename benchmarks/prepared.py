"""Databases in which events wait, as if they had come a moment ago."""

import os
import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import bodies
from app.drip_to_segment.translate import translate
from app.outbox.messages import Message
from app.outbox.store import Store
from benchmarks.bodies import body_around

STEP = 1000


def prepare(path: Path, count: int) -> Path:
    """Make the file. The events differ, but only one was translated: a million would take long."""
    engine = open_database(make_url(f"sqlite:///{path}"))
    upgrade(engine)
    store = Store(engine, "segment")
    arrival, began = _template(), time.time() - count / 1000
    for start in range(0, count, STEP):
        numbers = range(start, min(start + STEP, count))
        store.put([arrival(number, began + number / 1000) for number in numbers])
    engine.dispose()
    return path


def copy(path: Path, to: Path) -> Path:
    """On disk on return, so that nobody's syncs have to write it."""
    shutil.copyfile(path, to)
    os.sync()
    return to


def export_calls(path: Path, to: Path) -> Path:
    """What Segment would get, a call a line, in the order in which it would."""
    engine = open_database(make_url(f"sqlite:///{path}"))
    with engine.connect() as connection, to.open("w") as file:
        for payload in connection.scalars(select(bodies.c.payload).order_by(bodies.c.event)):
            file.write(f"{payload}\n")
    engine.dispose()
    return to


def _template() -> Callable[[int, float], Message]:
    before, after = body_around()
    mark = "mark-00000000"
    model = translate(before + mark.encode() + after, time.time())
    assert isinstance(model, Message)

    def arrival(number: int, received_at: float) -> Message:
        delivery = f"made-{number:08d}"
        message_id = f"drip-{sha256(delivery.encode()).hexdigest()}"
        assert model.payload
        payload = model.payload.replace(model.message_id, message_id).replace(mark, delivery)
        return model._replace(
            message_id=message_id,
            payload=payload,
            raw=before + delivery.encode() + after,
            received_at=received_at,
        )

    return arrival
