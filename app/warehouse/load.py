"""Load what has come since last time into the warehouse, so that each event is there once.

A batch is written, and then it is noted up to which event. If the process dies between the two, the
batch is written again: a row replaces the one with its id. Only one load runs at a time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from app.database.exclusive import StillMine, exclusive
from app.logs import get_logger
from app.outbox.erasures import Erasures
from app.outbox.loads import Loads
from app.warehouse.erasing import erase_asked
from app.warehouse.failure import WarehouseFailed, failures_logged
from app.warehouse.pipeline import Warehouse, remove_remains
from app.warehouse.reading import Batch, read_batch
from app.warehouse.target import Target
from app.warehouse.users import users_of, with_earlier_traits

log = get_logger(__name__)

Report = Callable[[int], object]
"""Called with how many events were loaded, after each batch."""


@dataclass(frozen=True)
class Loader:
    """Loads the messages of one database into one warehouse."""

    engine: Engine
    target: Target
    loads: Loads
    erasures: Erasures

    def run(self, report: Report = lambda _: None) -> int:
        """Load all that has come. Returns how many events that were.

        Raises `WarehouseFailed`, and `InUse` if another process is loading. What was loaded until
        then stays loaded.
        """
        began = time.monotonic()
        try:
            with failures_logged("warehouse not loaded"), self._open() as (warehouse, still_mine):
                erase_asked(warehouse, self.erasures)
                count = sum(
                    self._load(each, warehouse, still_mine, report)
                    for each in self.target.destinations
                )
        except WarehouseFailed as error:
            self.loads.end(time.time(), str(error))
            raise
        self.loads.end(time.time())
        seconds = round(time.monotonic() - began, 1)
        log.info("warehouse loaded", events=count, seconds=seconds)
        return count

    def erase(self) -> None:
        """Erase everybody who has to be erased. Raises as `run` does."""
        with failures_logged("nobody erased in the warehouse"), self._open() as (warehouse, _):
            erase_asked(warehouse, self.erasures)

    @contextmanager
    def _open(self) -> Iterator[tuple[Warehouse, StillMine]]:
        with exclusive(self.engine, f"warehouse-{self.target.fingerprint}") as still_mine:
            remove_remains(self.target, "load")
            with Warehouse.open(self.target, "load") as warehouse:
                yield warehouse, still_mine

    def _load(
        self, destination: str, warehouse: Warehouse, still_mine: StillMine, report: Report
    ) -> int:
        """Load the messages for one destination, in the order in which they were kept."""
        upto, count = self.loads.horizon(), 0
        after = self.loads.last_event(destination)
        while batch := read_batch(self.engine, destination, after, upto):
            _write(batch, warehouse)
            still_mine()
            count += len(batch.events)
            report(len(batch.events))
            if not self.loads.advance(destination, after, batch.last, len(batch.events)):
                return count
            erase_asked(warehouse, self.erasures)  # their events may have been in this batch
            after = batch.last
        # those for other destinations need not be gone through again
        self.loads.advance(destination, after, upto, 0)
        return count


def _write(batch: Batch, warehouse: Warehouse) -> None:
    from app.warehouse.arrow import to_tables  # PyArrow takes long to import, and is not everywhere

    rows = with_earlier_traits(batch.rows(), users_of(warehouse))
    tables = to_tables(rows, warehouse.types, datetime.now(UTC))
    if tables:
        warehouse.write(tables)
