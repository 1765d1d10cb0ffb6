"""The warehouse as dlt opens it: write tables, run statements.

dlt takes half a second and 100 MB to import, so it is imported when a warehouse is opened.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.errors import ConfigError
from app.warehouse.target import Target

if TYPE_CHECKING:
    import dlt
    import pyarrow
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

QUIET = {
    # reports of use that dlt would post to its makers
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    # its log quotes values
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "LOAD__RAISE_ON_FAILED_JOBS": "true",
}
"""dlt's own settings, as it reads them from the environment."""

MISSING = "The warehouse needs a package that is not installed: pip install '.[warehouse]'"

OURS = "bridge"
"""The name under which dlt keeps what it knows of the tables, in the warehouse itself."""


DUCKDB_MEMORY = "100MB"
"""Of pages that DuckDB keeps. By itself it takes most of the machine's memory if the file has as
much."""

SMALLEST_DUCKDB = 3 * 4096
"""Bytes of its headers."""


class Warehouse:
    """An open warehouse. Its methods raise dlt's errors and the drivers', which quote values: see
    `failure.py`."""

    def __init__(self, pipeline: "dlt.Pipeline") -> None:
        self._pipeline = pipeline

    @classmethod
    @contextmanager
    def open(cls, target: Target, use: str = "read") -> Iterator[Self]:
        """Open it for some use. Raises `ConfigError` if dlt or its driver is not installed.

        What dlt puts on disk meanwhile is deleted at the end.
        """
        before = os.umask(0o077)  # a file that DuckDB makes has people's addresses in it
        try:
            with tempfile.TemporaryDirectory(prefix=_prefix(target, use)) as folder:
                yield cls(_open_pipeline(target, folder))
        finally:
            os.umask(before)

    @property
    def _has_index(self) -> bool:
        """Whether ids get an index, so that finding old rows does not take longer with each load.

        DuckDB has all of an index in memory, so that one of some million rows would be too large
        for ever. It reads one column of all rows in the time that it takes to find 10,000 in it.
        """
        return self._pipeline.destination.destination_name != "duckdb"

    @property
    def tables(self) -> list[str]:
        """The names of the tables that were loaded."""
        return [name for name in self._columns() if not name.startswith("_dlt_")]

    def types(self, table: str) -> dict[str, str]:
        """The columns that a table has, each with its type as dlt calls it."""
        return self._columns().get(table, {})

    def _columns(self) -> dict[str, dict[str, str]]:
        if not self._pipeline.schema_names:
            return {}
        return {
            name: {
                column: str(hints.get("data_type")) for column, hints in table["columns"].items()
            }
            for name, table in self._pipeline.default_schema.tables.items()
        }

    def write(self, tables: Mapping[str, "pyarrow.Table"]) -> None:
        """Write tables; a row replaces the one with its id. Each is written whole or not at all."""
        import dlt

        self._pipeline.run(
            [
                dlt.resource(
                    table,
                    name=name,
                    primary_key="id",
                    write_disposition="merge",
                    columns={"id": {"unique": self._has_index}},
                )
                for name, table in tables.items()
            ]
        )

    def column(self, name: str) -> str:
        """The name of a column in statements."""
        return self._pipeline.sql_client().escape_column_name(name)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement, with `%s` for each value. `{name}` is the table with that name."""
        with self._pipeline.sql_client() as client:
            names = {table: client.make_qualified_table_name(table) for table in self.tables}
            found = client.execute_sql(statement.format_map(names), *values)
        return [tuple(row) for row in found or ()]


def _open_pipeline(target: Target, folder: str) -> "dlt.Pipeline":
    os.environ.update(QUIET, DLT_DATA_DIR=folder)
    try:
        import dlt
        import pyarrow  # noqa: F401
    except ImportError:
        raise ConfigError(MISSING) from None
    destination: Any = target.kind
    if target.kind == "duckdb":
        destination = dlt.destinations.duckdb(_duckdb(target.credentials))
    elif target.kind == "postgres":
        destination = dlt.destinations.postgres(target.credentials)
    pipeline = dlt.pipeline(
        OURS, destination=destination, dataset_name=target.schema, pipelines_dir=folder
    )
    pipeline.sync_destination()
    return pipeline


def _duckdb(file: str) -> "DuckDbCredentials":
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

    return DuckDbCredentials(file, global_config={"memory_limit": DUCKDB_MEMORY})


def _prefix(target: Target, use: str) -> str:
    return f"bridge-{use}-{target.fingerprint}-"


def remove_remains(target: Target, use: str) -> None:
    """Remove what a process that was killed has left. No other may be at the same use."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix(target, use)}*"):
        if folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
    if target.kind == "duckdb":
        _remove_unfinished(Path(target.credentials))


def _remove_unfinished(file: Path) -> None:
    """Remove what is left of a DuckDB whose process was killed while it created the file: DuckDB
    would never open it again. There is nothing in it yet."""
    if not file.is_file() or file.stat().st_size >= SMALLEST_DUCKDB:
        return
    head = file.read_bytes()[:12]
    if not head or head.endswith(b"DUCK"):
        file.unlink()
