"""Build the direction from its settings."""

from sqlalchemy import Engine

from app.config.settings import Settings
from app.delivery.worker import DeliveryWorker
from app.direction import Direction, build_direction
from app.drip_to_segment.description import describe
from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.translate import translate
from app.outbox.loads import Loads
from app.outbox.store import Store


def build_drip_to_segment(
    settings: Settings, engine: Engine, of_webhooks: Engine, loads: Loads | None = None
) -> Direction:
    """The direction over these two engines, which it may share with another."""
    segment = SegmentDestination(settings.segment_host, settings.write_key, settings.write_keys)
    store = Store(engine, segment.name)
    return build_direction(
        name="drip_to_segment",
        destination=segment,
        delivery=DeliveryWorker(store, segment),
        store=store,
        of_webhooks=of_webhooks,
        translate=translate,
        describe=describe,
        collections=COLLECTIONS.values(),
        loads=loads,
    )
