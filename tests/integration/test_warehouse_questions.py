"""Marketers get answers: from the queries of the page, and from the report."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import URL, make_url

from app import create_app
from app.bridge import bridge_of
from app.cli import warehouse
from app.config.settings import Settings
from tests.support.bridge_process import ROOT
from tests.support.databases import put_schema
from tests.support.flask_app import run
from tests.support.postgres import fresh_database
from tests.support.warehouses import emailed, query

PAGE = (ROOT / "docs" / "warehouse.md").read_text()

QUERIES = dict(re.findall(r"^### (.+)\n[^`]*```sql\n([^`]+)```", PAGE, re.MULTILINE))

ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@other.example"
SHOP = "https://shop.example/"

EVENTS = [
    *(emailed("received_email", f"d{n}", who) for n, who in enumerate((ANA, BO, CY))),
    emailed("received_email", "d9", ANA, "2026-11-10T08:00:00Z", email_id="32", email_subject="Ho"),
    emailed("opened_email", "o1", ANA, "2026-11-02T10:00:00Z"),
    emailed("opened_email", "o2", ANA, "2026-11-02T11:00:00Z"),
    emailed("clicked_email", "c1", ANA, "2026-11-02T10:01:00Z", url=SHOP),
    emailed("clicked_email", "c2", BO, "2026-11-02T10:01:00Z", url=SHOP),
    emailed("clicked_email", "c3", BO, "2026-11-02T10:02:00Z", url=f"{SHOP}sale"),
    emailed("bounced", "b1", CY),
    emailed("unsubscribed_all", "u1", ANA, "2026-11-11T08:00:00Z"),
    emailed("unsubscribed_all", "u2", BO, "2026-11-11T08:00:00Z"),
    emailed("complained", "s1", BO, "2026-11-11T07:00:00Z"),
]


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    if request.param == "duckdb":
        yield make_url(f"duckdb:///{tmp_path_factory.mktemp('w')}/warehouse.duckdb")
        return
    with fresh_database(request.getfixturevalue("postgres")) as uri:
        yield make_url(uri)


@pytest.fixture(scope="module")
def app(url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Over an outbox whose events are loaded."""
    outbox = make_url(f"sqlite:///{tmp_path_factory.mktemp('o')}/bridge.db")
    put_schema(outbox)
    settings = Settings(
        database_url=outbox,
        webhook_tokens=("a-token-for-the-tests",),
        segment_host="http://127.0.0.1:9",
        warehouse_url=url,
    )
    app = create_app(settings)
    bridge_of(app).drip_to_segment.store.put(EVENTS)
    result = run(app, "warehouse", "load")
    assert result.stdout == f"Loaded: {len(EVENTS)}.\n", result.output
    yield app
    bridge_of(app).close()


def answer(url: URL, question: str) -> list[tuple[object, ...]]:
    """What a query of the page finds."""
    return query(url, QUERIES[question])


@pytest.mark.usefixtures("app")
def test_the_open_rate_by_email_and_week(url: URL) -> None:
    found = answer(url, "Open rate by email and week")
    assert [(subject, delivered, float(str(rate))) for _, subject, delivered, rate in found] == [
        ("Ho", 1, 0.0),
        ("Hi", 3, 33.3),
    ]
    weeks = [str(week)[:10] for week, *_ in found]
    assert weeks == ["2026-11-09", "2026-11-02"]


@pytest.mark.usefixtures("app")
def test_the_clicks_by_link(url: URL) -> None:
    assert answer(url, "Clicks by link") == [(SHOP, 2, 2), (f"{SHOP}sale", 1, 1)]


@pytest.mark.usefixtures("app")
def test_the_bounces_by_domain(url: URL) -> None:
    assert answer(url, "Bounces by domain") == [("other.example", 1)]


@pytest.mark.usefixtures("app")
def test_after_which_email_people_unsubscribe(url: URL) -> None:
    assert sorted(answer(url, "After which email people unsubscribe")) == [("Hi", 1), ("Ho", 1)]


@pytest.mark.usefixtures("app")
def test_what_one_person_did(url: URL) -> None:
    found = [event for _, event in answer(url, "What one person did")]
    assert found == [
        *("Email Delivered", "Email Opened", "Email Link Clicked", "Email Opened"),
        *("Email Delivered", "Email Unsubscribed"),
    ]


def test_each_query_of_the_page_is_tested_here() -> None:
    assert len(QUERIES) == 5


def test_the_report_has_a_line_for_each_email(app: Flask) -> None:
    result = run(app, "warehouse", "report")
    assert result.exit_code == 0, result.output
    head, *lines = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    assert head == [*("Email", "Delivered", "Opened", "Clicked", "Bounced", "Unsubscribed", "Spam")]
    assert sorted(lines) == [
        ["Hi", "3", "1 (33.3 %)", "2 (66.7 %)", "1 (33.3 %)", "1 (33.3 %)", "1 (33.3 %)"],
        ["Ho", "1", "0 (0.0 %)", "0 (0.0 %)", "0 (0.0 %)", "1 (100.0 %)", "0 (0.0 %)"],
    ]


def test_a_report_of_nothing_says_so(settings: Settings, tmp_path: object) -> None:
    put_schema(settings.database_url)
    url = make_url(f"duckdb:///{tmp_path}/warehouse.duckdb")
    app = create_app(replace(settings, warehouse_url=url))
    assert run(app, "warehouse", "report").stdout == "Nothing is loaded yet.\n"
    bridge_of(app).close()


def test_without_a_warehouse_each_command_says_what_to_set(settings: Settings) -> None:
    put_schema(settings.database_url)
    app = create_app(settings)
    for command in ("load", "report"):
        result = run(app, "warehouse", command)
        assert result.exit_code == 1
        assert "WAREHOUSE_URL is not set" in result.output
    bridge_of(app).close()


def test_a_load_that_fails_ends_with_why(settings: Settings) -> None:
    put_schema(settings.database_url)
    gone = make_url("postgresql://ana:x@127.0.0.1:9/gone")
    app = create_app(replace(settings, warehouse_url=gone))
    for command in ("load", "report"):
        result = run(app, "warehouse", command)
        assert result.exit_code == 1
        assert "OperationalError" in result.output
    bridge_of(app).close()


def test_a_load_goes_on_every_so_often(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_schema(settings.database_url)
    url = make_url(f"duckdb:///{tmp_path}/warehouse.duckdb")
    app = create_app(replace(settings, warehouse_url=url))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(warehouse, "sleep", wait)
    result = run(app, "warehouse", "load", "--every", "10m")
    assert result.stdout.splitlines() == ["Loaded: 0."] * 2
    assert waits == [600.0, 600.0]
    bridge_of(app).close()
