"""How fast a load is beside a plain COPY of the same rows, and what it takes from accepting."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import psutil
import psycopg

from app.warehouse.reading import MOST_EVENTS
from benchmarks.load import flood
from benchmarks.options import Options
from benchmarks.postgresql import postgresql
from benchmarks.prepared import copy, prepare
from benchmarks.report import Figure, at_least, at_most, say
from benchmarks.servers import bridge, sink
from tests.support.bridge_process import ROOT, TOKEN

EVENTS = 1_000_000

FEW = 5 * MOST_EVENTS
"""To compare the memory with: it grows with the first batches."""

LOAD = (sys.executable, "-m", "flask", "--app", "wsgi", "warehouse", "load")


def measure(options: Options) -> list[Figure]:
    """Once each: a load of all events into an empty warehouse."""
    count = options.count(EVENTS)
    with tempfile.TemporaryDirectory(prefix="bench") as place, postgresql() as server:
        folder = Path(place)
        all_ = prepare(folder / "all.db", count)
        few = prepare(folder / "few.db", min(count, FEW))
        duck = f"duckdb:///{folder}/warehouse.duckdb"
        into_duckdb, memory = _load(all_, duck)
        copied_in_duckdb = _copy_in_duckdb(folder, count)
        into_postgresql, _ = _load(all_, server)
        copied_in_postgresql = _copy_in_postgresql(server, folder, count)
        _, memory_of_few = _load(few, f"duckdb:///{folder}/few.duckdb")
        beside = [_accept(number, all_, options) for number in range(options.rounds)]
    few_events = f"{min(count, FEW):,}"
    say(f"warehouse: COPY {copied_in_duckdb:,.0f}/s in DuckDB, {copied_in_postgresql:,.0f}/s in PG")
    return [
        Figure(f"{count:,} events into DuckDB, events/s", None, [into_duckdb]),
        Figure("the same ÷ COPY of the rows from CSV", None, [into_duckdb / copied_in_duckdb]),
        Figure(f"{count:,} events into PostgreSQL, events/s", None, [into_postgresql]),
        Figure("the same ÷ COPY of the rows", None, [into_postgresql / copied_in_postgresql]),
        Figure(
            f"peak memory of {count:,} ÷ of {few_events}",
            at_most(1.2),
            [memory / memory_of_few],
        ),
        Figure("peak memory of a load", at_most(500, " MB"), [memory]),
        Figure("accepting beside a load ÷ alone", at_least(0.9), beside),
    ]


def _environ(outbox: Path, warehouse: str) -> dict[str, str]:
    ours = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": f"sqlite:///{outbox}",
        "DRIP_WEBHOOK_TOKEN": TOKEN,
        "WAREHOUSE_URL": warehouse,
    }
    return {**os.environ, **ours}


def _load(outbox: Path, warehouse: str) -> tuple[float, float]:
    """Events a second, and the most memory in MB."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        began = time.monotonic()
        load = subprocess.Popen(
            LOAD, cwd=folder, env=_environ(outbox, warehouse), stdout=subprocess.PIPE, text=True
        )
        peak = 0.0
        process = psutil.Process(load.pid)
        while load.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        said = load.communicate()[0]
        rate = int(said.removeprefix("Loaded: ").rstrip(".\n").replace(",", "")) / (
            time.monotonic() - began
        )
    say(f"warehouse: {said.strip()} {rate:,.0f}/s, {peak:,.0f} MB at most")
    return rate, peak


def _copy_in_duckdb(folder: Path, count: int) -> float:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        seconds = 0.0
        for table in _tables(connection.execute(TABLES).fetchall()):
            file = folder / f"{table}.csv"
            connection.execute(f"COPY drip.{table} TO '{file}'")
            connection.execute(f"CREATE TABLE copied_{table} AS FROM drip.{table} LIMIT 0")
            began = time.monotonic()
            connection.execute(f"COPY copied_{table} FROM '{file}'")
            seconds += time.monotonic() - began
    return count / seconds


def _copy_in_postgresql(server: str, folder: Path, count: int) -> float:
    with psycopg.connect(server, autocommit=True) as connection:
        seconds = 0.0
        for table in _tables(connection.execute(TABLES.encode()).fetchall()):
            file = folder / f"{table}.pg.csv"
            out = connection.cursor().copy(f"COPY drip.{table} TO STDOUT".encode())
            with out as rows, file.open("wb") as written:
                written.writelines(rows)
            connection.execute(f"CREATE TABLE copied_{table} (LIKE drip.{table})".encode())
            began = time.monotonic()
            into = connection.cursor().copy(f"COPY copied_{table} FROM STDIN".encode())
            with into as rows, file.open("rb") as read:
                while block := read.read(1 << 16):
                    rows.write(block)
            seconds += time.monotonic() - began
    return count / seconds


TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'drip'"


def _tables(rows: list[tuple[str]]) -> list[str]:
    return [name for (name,) in rows if not name.startswith("_dlt_")]


def _accept(number: int, made: Path, options: Options) -> float:
    rates = {}
    for name in ("beside", "alone") if number % 2 == 0 else ("alone", "beside"):
        with tempfile.TemporaryDirectory(prefix="bench") as place, sink() as segment:
            outbox = copy(made, Path(place) / "bridge.db")
            url = f"sqlite:///{outbox}"
            with bridge(segment, DATABASE_URL=url, DELIVER_IN_WEB="false") as server:
                stop = threading.Event()
                loading = threading.Thread(target=_load_on, args=(outbox, Path(place), stop))
                if name == "beside":
                    loading.start()
                    time.sleep(3)  # until it has started
                rates[name] = flood(server, options.seconds).rate
                stop.set()
                if name == "beside":
                    loading.join()
    say(f"accepting, round {number + 1}: {rates['beside']:,.0f}/s beside, {rates['alone']:,.0f}/s")
    return rates["beside"] / rates["alone"]


def _load_on(outbox: Path, folder: Path, stop: threading.Event) -> None:
    """Load all of it again and again, until it is told to stop."""
    environ = _environ(outbox, f"duckdb:///{folder}/warehouse.duckdb")
    while not stop.is_set():
        load = subprocess.Popen(
            [*LOAD, "--again"], cwd=folder, env=environ, stdout=subprocess.DEVNULL
        )
        while load.poll() is None and not stop.is_set():
            time.sleep(0.05)
        load.kill()
        load.wait()
