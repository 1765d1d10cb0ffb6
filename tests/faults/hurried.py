"""The bridge with its waits cut short: what the small scale runs in place of `wsgi:app`."""

from dataclasses import replace

from flask import Flask

from app import create_app
from app.database import engine
from app.delivery import decision
from app.delivery import worker as delivery
from app.drip_to_segment import destination as segment
from app.outbox import group_commit

SPEED = 20


def hurried() -> Flask:
    """The same code, twenty times as impatient."""
    retry = replace(segment.SegmentDestination.retry, first=5.0 / SPEED)
    segment.SegmentDestination.retry = retry
    delivery.POLL /= SPEED
    delivery.LEASE /= SPEED
    decision.KEY_PAUSE /= SPEED
    delivery.FAULT_PAUSE /= SPEED
    segment.CONNECT_TIMEOUT /= SPEED
    segment.READ_TIMEOUT /= SPEED
    segment.WHOLE_EXCHANGE /= SPEED
    engine.BUSY_SECONDS = 1  # PostgreSQL's time-outs are whole seconds
    group_commit.LONGEST_WAIT = 1.2
    return create_app()
