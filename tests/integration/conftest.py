"""What tests of several files share."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import Engine

from app.clients.drip import Drip
from app.config.settings import Settings
from app.delivery.worker import DeliveryWorker
from app.drip_to_segment.destination import SegmentDestination
from app.outbox.store import Store
from tests.support.clock import Clock
from tests.support.delivery import KEY, delivery_to
from tests.support.drip_account import TOKEN
from tests.support.drip_delivery import SETTLE
from tests.support.fake_drip import ACCOUNT, API_TOKEN, FakeDrip
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.fake_segment import FakeSegment
from tests.support.flask_app import app_over


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delivery(store: Store, segment: FakeSegment, clock: Clock) -> DeliveryWorker:
    return delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)


@pytest.fixture
def drip() -> Iterator[FakeDrip]:
    """Where the commands find Drip's API, in settings that have its address."""
    with FakeDrip() as fake:
        yield fake


@pytest.fixture
def api(drip: FakeDrip) -> Drip:
    return Drip(ACCOUNT, API_TOKEN, (TOKEN,), drip.url)


@pytest.fixture
def app_on_each_engine(engine: Engine, settings: Settings) -> Iterator[Flask]:
    """The app over each engine in turn."""
    with app_over(replace(settings, database_url=engine.url)) as app:
        yield app


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeDripRest]:
    """Drip, which has done a batch before the bridge takes it for done, and finds no fault."""
    with FakeDripRest(clock=clock, batch_delay=SETTLE - 1) as fake:
        yield fake
        assert fake.violations == []
