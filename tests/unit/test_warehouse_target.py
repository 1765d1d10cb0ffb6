"""A warehouse is the same one, with any user and password."""

import pytest
from sqlalchemy.engine import URL, make_url

from app.warehouse.target import Target

PLAIN = "postgresql://ana:x@db:5432/w"


def target(url: str, schema: str = "drip") -> Target:
    return Target(make_url(url), schema)


def test_another_login_is_the_same_warehouse() -> None:
    other = "postgresql://bo:y@db:5432/w?sslmode=require"
    assert target(PLAIN).fingerprint == target(other).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        target("postgresql://ana:x@other:5432/w"),
        target("postgresql://ana:x@db:5432/v"),
        target(PLAIN, "other"),
        target("duckdb:///w"),
        Target(URL.create("bigquery"), "drip"),
    ],
)
def test_another_place_is_another_warehouse(other: Target) -> None:
    assert target(PLAIN).fingerprint != other.fingerprint


def test_a_file_is_known_by_its_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    here = target("duckdb:///w.duckdb").fingerprint
    monkeypatch.chdir("/")
    assert target("duckdb:///w.duckdb").fingerprint != here


def test_dlt_is_given_the_url_in_its_own_way() -> None:
    assert target(PLAIN).credentials == PLAIN
    assert target("duckdb:////data/w.duckdb").credentials == "/data/w.duckdb"
    assert target("postgresql://ana@/w?host=/run/pg&sslmode=disable").credentials == (
        "postgresql://ana:@%2Frun%2Fpg/w?sslmode=disable"
    )


def test_its_kind_is_what_dlt_calls_it() -> None:
    kinds = [target(PLAIN).kind, target("duckdb:///w").kind]
    assert [*kinds, Target(URL.create("snowflake"), "drip").kind] == [
        *("postgres", "duckdb", "snowflake")
    ]
