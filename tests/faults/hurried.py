"""The bridge with its waits cut short: what the small scale runs in place of `wsgi:app`."""

from dataclasses import replace

from flask import Flask

from app import bridge, create_app
from app.clients import drip_wire
from app.database import engine, postgresql
from app.delivery import decision
from app.delivery import worker as delivery
from app.drip_to_segment import destination as segment
from app.outbox import group_commit
from app.segment_to_drip import destination as drip
from app.segment_to_drip.sending import budget
from app.segment_to_drip.sending import delivery as to_drip

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
    drip.DripDestination.retry = replace(drip.DripDestination.retry, first=5.0 / SPEED)
    to_drip.LEASE /= SPEED  # type: ignore[attr-defined]
    to_drip.TURN_LEASE /= SPEED
    drip.WHOLE_SEND /= SPEED
    drip.PERSON_IS_BUSY /= SPEED
    budget.PLAN_AGAIN /= SPEED
    drip_wire.CONNECT_TIMEOUT /= SPEED
    drip_wire.READ_TIMEOUT /= SPEED
    drip_wire.WHOLE_EXCHANGE /= SPEED
    bridge.PRUNE_EVERY /= SPEED
    postgresql.LONGEST_IDLE = 2
    engine.BUSY_SECONDS = 1  # PostgreSQL's time-outs are whole seconds
    group_commit.LONGEST_WAIT = 1.2
    return create_app()


def hurried_but_slow_to_connect() -> Flask:
    """The same, except for the time that a connection to Drip may take."""
    drip_wire.CONNECT_TIMEOUT *= SPEED
    return hurried()
