"""Databases that have this version's schema, as copies of one that was brought to it once."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.database.schema import upgrade

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests of `database_url` that are about what comes before the database: one engine will do."""


def put_schema(url: URL) -> None:
    """Bring a database to this version's schema; an SQLite that is not there yet by copying one."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        shutil.copyfile(Path(_migrated().name) / "bridge.db", str(url.database))
    else:
        upgrade_at(url)


def upgrade_at(url: URL) -> None:
    """By the migrations, and with no connection left."""
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()


@cache
def _migrated() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    upgrade_at(make_url(f"sqlite:///{folder.name}/bridge.db"))
    return folder
