"""The tables: Drip's events and properties, and what Segment and its warehouses make of names."""

import pytest

from app.columns import is_discarded
from app.drip_to_segment.mapping import DOCUMENTED_PROPERTIES


def test_no_two_documented_properties_share_a_place() -> None:
    assert len(set(DOCUMENTED_PROPERTIES.values())) == len(DOCUMENTED_PROPERTIES)


def test_no_documented_property_is_discarded_by_a_warehouse() -> None:
    names = [name for place, name in DOCUMENTED_PROPERTIES.values() if place == "properties"]
    assert names
    assert not [name for name in names if is_discarded(name)]


@pytest.mark.parametrize(
    "name",
    [
        *("id", "user_id", "anonymous_id", "event", "event_text", "uuid_ts"),
        *("timestamp", "original_timestamp", "sent_at", "received_at"),
        *("context_ip", "context_", ""),
    ],
)
def test_a_warehouse_discards_a_property_named_like_its_column(name: str) -> None:
    assert is_discarded(name)


@pytest.mark.parametrize("name", ["email_id", "context", "my_context_ip", "ids", "sent", "ID"])
def test_a_warehouse_keeps_any_other_property(name: str) -> None:
    assert not is_discarded(name)
