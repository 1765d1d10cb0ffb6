"""Rows have Segment's warehouse columns to the letter."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.warehouse.arrow import MOST_COLUMNS, OVERFLOW, to_tables
from app.warehouse.rows import DEEPEST, Row, call_to_rows
from tests.support.bridge_process import ROOT
from tests.support.builders import translated
from tests.support.golden import RECEIVED_AT

CAME = datetime(2026, 11, 2, 9, 31, 7, 250_000, UTC)
LOADED = datetime(2026, 11, 2, 9, 40, tzinfo=UTC)


def rows(call: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row.table: row.values for row in call_to_rows(call, "m1", RECEIVED_AT)}


def track(**properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Order Completed", "properties": properties}


def table(*values: dict[str, Any], **known: str) -> list[dict[str, Any]]:
    """What the table has of rows with these values, if it has the `known` columns."""
    made = [Row("t", {"id": str(n), **each}) for n, each in enumerate(values)]
    types = {**known, "id": "text", "uuid_ts": "timestamp"} if known else {}
    found: list[dict[str, Any]] = to_tables(made, lambda _: types, LOADED)["t"].to_pylist()
    for row in found:
        assert row.pop("uuid_ts") == LOADED
        row.pop("id")
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def test_a_click_is_a_row_of_its_event_and_one_of_tracks() -> None:
    sample = (ROOT / "samples" / "clicked_email.json").read_bytes()
    message = translated(sample, RECEIVED_AT)
    found = rows(json.loads(message.payload or ""))
    happened = datetime.fromisoformat(json.loads(sample)["occurred_at"])
    common = found.pop("tracks")
    assert common.items() <= {**found["email_link_clicked"]}.items()
    assert common["id"] == message.message_id
    assert [common["event"], common["event_text"]] == ["email_link_clicked", "Email Link Clicked"]
    assert common["timestamp"] == common["original_timestamp"] == happened
    assert common["received_at"] == common["sent_at"] == CAME
    assert common.keys() >= {
        *("context_ip", "context_user_agent", "context_library_name", "context_library_version"),
        *("context_integration_name", "context_integration_version", "context_traits_email"),
    }
    assert not common.keys() & {"link_url", "email_id", "account_id", "integrations"}
    assert found.keys() == {"email_link_clicked"}
    own = found["email_link_clicked"].items() - common.items()
    assert {name for name, _ in own} == {
        *("account_id", "subscriber_id", "delivery_id", "email_id", "email_subject", "link_url")
    }


def test_a_late_event_has_its_own_time_and_came_today() -> None:
    call = {**track(), "timestamp": "2026-10-01T08:00:00.000+02:00"}
    assert rows(call)["tracks"]["timestamp"] == datetime(2026, 10, 1, 6, tzinfo=UTC)
    assert rows(call)["tracks"]["received_at"] == CAME


def test_objects_become_columns_and_arrays_become_json() -> None:
    found = rows(track(shipTo={"cityName": "Bo"}, items=[{"sku": "é"}], note=None, ok=True))
    assert {
        "ship_to_city_name": "Bo",
        "items": '[{"sku":"é"}]',
        "ok": True,
    }.items() <= found["order_completed"].items()
    assert "note" not in found["order_completed"]


def test_properties_that_would_take_the_place_of_segments_columns_are_left_out() -> None:
    found = rows(track(userId="x", context_ip="x", contextIp="x", eventText="x", total=5))
    row = found["order_completed"]
    assert row["total"] == 5
    assert row["event_text"] == "Order Completed"
    assert not row.keys() & {"user_id", "context_ip"}


def test_what_no_database_takes_is_replaced() -> None:
    row = rows(track(a="x\0y", b="\ud800", big=2**63, inf=float("inf")))["order_completed"]
    assert [row[name] for name in ("a", "b", "big", "inf")] == ["x?y", "?", str(2**63), "inf"]


def test_deep_objects_stay_json() -> None:
    deep: Any = 1
    for _ in range(DEEPEST + 3):
        deep = {"a": deep}
    row = rows(track(x=deep))["order_completed"]
    (column,) = [name for name in row if name.startswith("x_")]
    assert row[column] == '{"a":{"a":{"a":1}}}'


@pytest.mark.parametrize(
    ("event", "tables"),
    [
        ("Users", ["tracks", "users_event"]),
        ("_dlt_loads", ["tracks", "dlt_loads"]),
        ("é", ["tracks"]),
        ("1st Visit", ["tracks", "_1st_visit"]),
    ],
)
def test_an_event_never_gets_another_ones_table(event: str, tables: list[str]) -> None:
    assert [*rows({**track(), "event": event})] == tables


def test_an_identify_call_is_a_row_of_identifies_and_the_latest_of_users() -> None:
    call = json.loads((ROOT / "samples" / "segment" / "identify.json").read_bytes())
    found = rows(call)
    assert [*found] == ["identifies", "users"]
    assert found["identifies"]["id"] == call["messageId"]
    assert found["identifies"]["sent_at"] == datetime(2026, 11, 2, 9, 29, 59, tzinfo=UTC)
    assert found["identifies"]["first_name"] == found["users"]["first_name"] == "Ana"
    assert found["users"]["id"] == "u-81"
    assert not found["users"].keys() & {"user_id", "anonymous_id", "sent_at"}
    assert [*rows({"type": "identify", "anonymousId": "a"})] == ["identifies"]


# columns keep their type


def test_a_column_has_the_type_of_its_first_value() -> None:
    assert table({"p": 1}, {"p": 2.5}) == [{"p": 1}, {"p_double": 2.5}]
    assert table({"p": 2.5}, {"p": 1}) == [{"p": 2.5}, {"p": 1.0}]
    assert table({"p": "x"}, {"p": 1}, {"p": True}) == [{"p": "x"}, {"p": "1"}, {"p": "true"}]
    assert table({"p": True}, {"p": 1}) == [{"p": True}, {"p_bigint": 1}]


def test_a_column_keeps_the_type_that_it_has_in_the_warehouse() -> None:
    assert table({"p": "x"}, p="bigint") == [{"p_text": "x"}]
    assert table({"p": "x"}, p="bigint", p_text="bool") == [{"p_text_text": "x"}]
    assert table({"p": "x"}, p="timestamp") == [{"p_text": "x"}]


def test_names_without_end_do_not_become_columns_without_end() -> None:
    many = {f"c{n}": n for n in range(MOST_COLUMNS + 5)}
    (row,) = table(many)
    assert len(row) <= MOST_COLUMNS + 1
    assert row[OVERFLOW].splitlines()[-1] == f"c{MOST_COLUMNS + 4}: {MOST_COLUMNS + 4}"
    assert table({"new": 1}, **dict.fromkeys(many, "bigint")) == [{OVERFLOW: "new: 1"}]


def test_of_rows_with_one_id_the_last_stays() -> None:
    made = [Row("t", {"id": "1", "p": 1}), Row("t", {"id": "1", "p": 2})]
    assert to_tables(made, lambda _: {}, LOADED)["t"].column("p").to_pylist() == [2]
