"""Calls of Segment for Hypothesis: right ones, and such as no library would send."""

import copy
from typing import Any

from hypothesis import strategies as st

from tests.support.any_json import any_text, json_of, places_in

ANA = "ana@example.com"

CALLS: list[dict[str, Any]] = [
    {
        "type": "identify",
        "messageId": "m-1",
        "userId": "u-81",
        "anonymousId": "a-5",
        "channel": "client",
        "timestamp": "2026-11-02T09:30:00.123Z",
        "integrations": {"All": False, "Drip": {"campaignId": "83702741"}},
        "_metadata": {"bundled": ["Segment.io"], "unbundled": []},
        "context": {
            "ip": "203.0.113.7",
            "timezone": "Europe/Madrid",
            "traits": {"email": ANA},
            "externalIds": [
                {"type": "dripCampaignId", "id": "77"},
                {"type": "dripId", "id": "z1togz2hcjrkpp5treip"},
            ],
        },
        "traits": {
            "email": ANA,
            "name": "Ana López",
            "phone": "+34600000000",
            "address": {"street": "6th St", "city": "Bilbao", "postalCode": 48001},
            "time_zone": "Europe/Madrid",
            "ip_address": "2001:db8::1",
            "tags": ["a", " b "],
            "remove_tags": "c,d",
            "status": "unsubscribed",
            "status_updated_at": "2026-10-01T08:00:00Z",
            "initial_status": "active",
            "new_email": "ana.new@example.com",
            "eu_consent": "granted",
            "eu_consent_message": "I agree.",
            "sms_number": "+14155550100",
            "sms_consent": True,
            "prospect": False,
            "base_lead_score": 30,
            "drip_score": 1,
            "some trait": [1, {"a": None}],
            "some_trait": "x",
            "custom_fields": {"plan": "pro"},
        },
    },
    {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m-2",
        "userId": "u-81",
        "anonymousId": "a-5",
        "timestamp": "2026-11-02T09:30:00.123Z",
        "originalTimestamp": "2026-11-02T09:30:00.123Z",
        "context": {"traits": {"email": ANA}},
        "properties": {
            "email": ANA,
            "revenue": "$1,204.50",
            "total": 1300,
            "value": 5,
            "a b": 1,
            "a_b": 2,
            "products": [{"sku": "a", "price": 19.99}],
        },
    },
    {"type": "track", "event": "Paid", "anonymousId": "a-5", "properties": {"email": ANA}},
    {
        "type": "track",
        "event": "Paid",
        "messageId": "m-5",
        "context": {"externalId": [{"type": "dripId", "id": "z1togz2hcjrkpp5treip"}]},
    },
    {"type": "alias", "messageId": "m-3", "previousId": "a-5", "userId": "u-81"},
    {"type": "page", "messageId": "m-4", "userId": "u-81", "name": "Pricing"},
]

TELLING = [
    *("", " ", "\x00", "a\x00b", "\ud800", "\udc00\ud800", "\u2028", "\x85", "\ufeff", "İ", "ß"),
    *("email", "Email", "EMAIL", "e mail", "tags", "Tags", "remove_tags", "value", "value_raw"),
    *("revenue", "total", "status", "initialStatus", "custom_fields", "customFields", "address"),
    *("first name", "firstName", "drip_x", "Drip_", "DRIP_ ", "_", "a_b", "a b", "a\tb", "a_b_2"),
    *("ana@example.com", "ANA@Example.com ", "a@b.c", "ana@exämple.com", "ana@example.com\x00"),
    *('"a b"@example.com', "a@[127.0.0.1]", "a@localhost", "a@example..com", "İ@example.com"),
    *("active", "Unsubscribed", "granted", "true", "1,204.50", "1e5", "-5", "19.99", "$5"),
    *("2026-11-02", "2026-11-02T09:30:00.5+02:00", "0001-01-01T00:00:00+10:00", "2026-W45-1"),
    *("9999-12-31T23:59:59-10:00", "2026-13-01T00:00:00Z", "20261102T093000Z", "09:30:00"),
    *("203.0.113.7", "::1", "fe80::1%eth0", "Europe/Madrid", "europe/madrid", "posixrules", "EST"),
    *("right/UTC", "../etc/passwd", "campaignId", "campaign_id", "Drip", "drip-1", "+14155550100"),
    *("identify", "TRACK", " alias", "group", "delete", "x" * 1001, "é" * 256, "\U0001f600" * 250),
]

texts = st.sampled_from(TELLING) | any_text
values = json_of(texts)


@st.composite
def mutated_calls(draw: st.DrawFn) -> Any:
    """A right call with up to six places replaced, removed or added."""
    call = {"": None, **copy.deepcopy(draw(st.sampled_from(CALLS)))}
    for _ in range(draw(st.sampled_from([1, 1, 2, 4, 6]))):
        if not (places := places_in(call)):
            break
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "replace":
            holder[key] = draw(st.sampled_from(["<huge>", "", None, 0, True]) | texts | values)
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(texts)] = draw(values)
        else:
            holder.append(draw(values))
    return call
