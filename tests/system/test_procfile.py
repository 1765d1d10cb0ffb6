"""The Procfile's three processes, run as Heroku runs them, over PostgreSQL."""

import os
import random
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from json import loads
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from tests.faults.deliverers import wait_until_sent
from tests.faults.ledger import Ledger, event
from tests.support.bridge_process import ROOT, TOKEN, WRITE_KEY, assert_no_secret
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

SLUG = ("Procfile", "gunicorn.conf.py", "wsgi.py", "app")
"""What is run. The other files of this folder, such as a developer's .env, are no part of it."""

LONGEST_STOP = 30.0
"""Seconds until Heroku kills."""

RUNNER = (
    "from honcho import command, manager;"
    f"manager.KILL_WAIT = {LONGEST_STOP};"  # of itself 5 s from the first process's end
    "command.main()"
)

BUILDPACK = {
    "FORWARDED_ALLOW_IPS": "*",
    "GUNICORN_CMD_ARGS": "--access-logfile -",
    "PYTHONUNBUFFERED": "true",
}
"""What Heroku's Python buildpack sets in each dyno, besides WEB_CONCURRENCY."""

DATABASE_PASSWORD = "password-of-the-database"  # this server asks for none

CALLERS = 8

MOST_CONNECTIONS = 20
"""Of Heroku's smallest plans (docs/development/facts.md § 4)."""


class Dynos:
    """Some of the Procfile's processes under one runner."""

    def __init__(
        self, processes: Sequence[str], ports: Sequence[int], environ: dict[str, str], log: Path
    ) -> None:
        self.ports = ports
        """Of the webs."""
        self._log = log
        self._family: list[psutil.Process] = []
        with log.open("wb") as output:
            self._runner = psutil.Popen(
                [sys.executable, "-c", RUNNER, "start", *processes],
                cwd=log.parent,
                env=environ,
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def exit_codes(self) -> list[str]:
        """Of the processes that ended, as the runner tells them."""
        return re.findall(r"stopped \(rc=(-?\d+)\)", self.log)

    def wait_until_they_answer(self) -> None:
        """Each web, whatever it says."""
        for port in self.ports:
            wait_until(lambda: self._runner.poll() is not None or answers(port))  # noqa: B023
        assert self._runner.poll() is None, self.log

    def wait_for_end(self) -> int:
        """Until all have ended, in the time that Heroku gives. The runner's exit code."""
        try:
            return int(self._runner.wait(LONGEST_STOP))
        except psutil.TimeoutExpired:
            pytest.fail(f"they run on:\n{self.log}")

    def tell_to_stop(self) -> None:
        """SIGTERM. The runner hands it on to each process together with that one's children."""
        self._family = self._runner.children(recursive=True)
        self._runner.send_signal(signal.SIGTERM)
        wait_until(lambda: "sending SIGTERM to worker" in self.log)

    def wait_until_stopped(self) -> None:
        """Well, in time, and with none left behind."""
        assert self.wait_for_end() == 128 + signal.SIGTERM
        assert set(self.exit_codes()) == {"0"}, self.log
        assert not [process for process in self._family if process.is_running()]

    def kill(self) -> None:
        """What still runs, by its id."""
        with suppress(psutil.NoSuchProcess):
            self._family += [*self._runner.children(recursive=True), self._runner]
        for process in self._family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._runner.wait()


class Heroku:
    """An app with its slug, its settings and its add-on; what was started is killed at the end."""

    def __init__(self, folder: Path, database_url: str, segment_url: str) -> None:
        self._folder = folder
        self._started: list[Dynos] = []
        for name in SLUG:
            (folder / name).symlink_to(ROOT / name)
        url = make_url(database_url).set(drivername="postgres", password=DATABASE_PASSWORD)
        self._environ = {
            **os.environ,
            **BUILDPACK,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DYNO": "web.1",
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "DRIP_WEBHOOK_TOKEN": TOKEN,
            "SEGMENT_HOST": segment_url,
            "SEGMENT_WRITE_KEY": WRITE_KEY,
            "DELIVER_IN_WEB": "false",
        }

    def __enter__(self) -> "Heroku":
        return self

    def __exit__(self, *_: object) -> None:
        for dynos in self._started:
            dynos.kill()
        for dynos in self._started:
            assert_no_secret(dynos.log)
            assert DATABASE_PASSWORD not in dynos.log

    def start(self, *processes: str, port: int = 0, webs: int = 1, **environ: str) -> Dynos:
        """At once. The first web gets the port, or else one that is free; the next web the next."""
        first = port or free_ports(webs)
        dynos = Dynos(
            processes,
            range(first, first + webs),
            {**self._environ, "PORT": str(first), **environ},
            self._folder / f"{len(self._started)}.log",
        )
        self._started.append(dynos)
        return dynos

    def release(self) -> None:
        """As before each new version's processes."""
        dynos = self.start("release")
        assert dynos.wait_for_end() == 0, dynos.log
        assert "The database has this version's schema." in dynos.log


@pytest.fixture
def outbox(postgres_url: str) -> Iterator[Engine]:
    """The same database as the processes', to look into."""
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def heroku(postgres_url: str, segment: FakeSegment, tmp_path: Path) -> Iterator[Heroku]:
    with Heroku(tmp_path, postgres_url, segment.url) as app:
        yield app


class Callers:
    """Post without pause, a connection each time; where one web is not there, to the next."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ledger = Ledger()
        self.let_in: Counter[int] = Counter()
        self.taken: Counter[int] = Counter()
        """By port: connections, and answers with 200."""
        self._ports = ports
        self._spared: set[int] = set()
        self._numbers = count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, port: int) -> None:
        """Until more were taken there than can have been on their way."""
        wanted = self.taken[port] + 2 * CALLERS
        wait_until(lambda: self.taken[port] >= wanted)

    def wait_for_late_ones(self, port: int) -> None:
        """Until some more came to a web that is told to stop, or it lets nobody in."""
        wanted = self.let_in[port] + CALLERS
        refused = self.ledger.answers["refused"]
        wait_until(lambda: self.let_in[port] >= wanted or self.ledger.answers["refused"] > refused)

    @contextmanager
    def sparing(self, port: int) -> Iterator[None]:
        """Nobody goes there for now; who is there already stays for the answer."""
        self._spared.add(port)
        yield
        self._spared.discard(port)

    def _run(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            first = number % len(self._ports)
            turns = [*self._ports[first:], *self._ports[:first]]
            if not any(self._post(port, event(number)) for port in turns):
                self._stop.wait(0.05)

    def _post(self, port: int, body: bytes) -> bool:
        """Whether it was taken."""
        if port in self._spared:
            return False
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.connect()
        except ConnectionRefusedError:
            self.ledger.answers["refused"] += 1
            return False
        self.let_in[port] += 1
        try:
            connection.request("POST", f"/webhooks/drip?token={TOKEN}", body)
            answer = connection.getresponse()
            said = loads(answer.read())
        except (OSError, HTTPException):
            self.ledger.answers["cut off"] += 1
            return False
        finally:
            connection.close()
        self.ledger.answers[answer.status] += 1
        if answer.status != 200:
            return False
        self.ledger.promised.add(said["message_id"])
        self.taken[port] += 1
        return True


def free_ports(number: int) -> int:
    """The first of so many free ports, below those that the system gives to outgoing connections:
    one of these may take the port of a web that is down."""
    while True:
        first = random.randrange(10000, 32000)
        with suppress(OSError):
            for port in range(first, first + number):
                socket.create_server(("", port)).close()
            return first


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except OSError:
        return False
    else:
        return True
    finally:
        connection.close()


def post_to(port: int, number: int) -> str:
    """The message id of the event, which is accepted."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", f"/webhooks/drip?token={TOKEN}", event(number))
    answer = connection.getresponse()
    said = loads(answer.read())
    connection.close()
    assert (answer.status, said["status"]) == (200, "accepted")
    return str(said["message_id"])


def assert_each_arrives_once(segment: FakeSegment, outbox: Engine, ids: Collection[str]) -> None:
    """And is settled, so that it is not sent again when a lease ends."""
    segment.wait_for(len(ids))
    wait_until_sent(outbox, ids)
    assert Counter(segment.message_ids()) == Counter(ids)


def connections(outbox: Engine) -> int:
    """Of all processes, and the one that asks."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with outbox.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


class Gate:
    """Segment's, closed: who brings a batch waits before it until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, _: Batch) -> Reply:
        assert self.open.wait(10)
        return OK


def test_the_processes_start_only_after_the_release(
    heroku: Heroku, segment: FakeSegment, outbox: Engine
) -> None:
    for dynos in [heroku.start("web"), heroku.start("worker")]:
        assert dynos.wait_for_end() == 1
        assert "Run: flask db upgrade" in dynos.log
        assert "Traceback" not in dynos.log
    heroku.release()
    dynos = heroku.start("web", "worker")
    dynos.wait_until_they_answer()
    assert_each_arrives_once(segment, outbox, [post_to(dynos.ports[0], 1)])
    assert {batch.write_key for batch in segment.batches} == {WRITE_KEY}


def test_what_was_accepted_before_a_restart_is_sent_after_it(
    heroku: Heroku, segment: FakeSegment, outbox: Engine
) -> None:
    upgrade(outbox)
    dynos = heroku.start("web", "worker", WEB_CONCURRENCY="2")
    dynos.wait_until_they_answer()
    segment.behave = gate = Gate()
    in_hand = post_to(dynos.ports[0], 0)
    wait_until(lambda: len(segment.batches) == 1)
    waiting = [post_to(dynos.ports[0], number) for number in range(1, 6)]
    dynos.tell_to_stop()
    wait_until(lambda: "Handling signal: term" in dynos.log)
    time.sleep(0.5)  # the worker, told at the same time, knows by now
    gate.open.set()
    dynos.wait_until_stopped()
    assert segment.message_ids() == [in_hand]

    heroku.start("web", "worker", port=dynos.ports[0])
    assert_each_arrives_once(segment, outbox, [in_hand, *waiting])


def test_two_webs_and_two_workers_send_each_event_once(
    heroku: Heroku, segment: FakeSegment, outbox: Engine
) -> None:
    upgrade(outbox)
    scale = "--concurrency=web=2,worker=2"
    dynos = heroku.start(scale, "web", "worker", webs=2, WEB_CONCURRENCY="2")
    dynos.wait_until_they_answer()
    segment.behave = gate = Gate()
    promised = set()
    for number, port in enumerate(dynos.ports):
        promised.add(post_to(port, number))
        # a worker has one batch in hand at a time: the second is the other worker's
        wait_until(lambda: len(segment.batches) == number + 1)  # noqa: B023
    gate.open.set()
    with Callers(dynos.ports) as callers:
        for port in dynos.ports:
            callers.wait_for_more(port)
    assert callers.ledger.answers.keys() == {200}
    assert_each_arrives_once(segment, outbox, promised | callers.ledger.promised)
    assert connections(outbox) <= MOST_CONNECTIONS


def test_a_rolling_restart_under_load_loses_nothing(
    heroku: Heroku, segment: FakeSegment, outbox: Engine
) -> None:
    upgrade(outbox)
    instances = [heroku.start("web", "worker") for _ in range(2)]
    for dynos in instances:
        dynos.wait_until_they_answer()
    with Callers([dynos.ports[0] for dynos in instances]) as callers:
        for dynos in instances:
            callers.wait_for_more(dynos.ports[0])
            restart(heroku, dynos, callers)
            callers.wait_for_more(dynos.ports[0])
    assert callers.ledger.answers.keys() == {200, "refused"}
    assert_each_arrives_once(segment, outbox, callers.ledger.promised)


def restart(heroku: Heroku, dynos: Dynos, callers: Callers) -> None:
    """One instance is stopped and started anew, under load."""
    (port,) = dynos.ports
    dynos.tell_to_stop()
    callers.wait_for_late_ones(port)
    # not at the very moment when the last listener closes: nobody could answer those
    with callers.sparing(port):
        dynos.wait_until_stopped()
    refused = callers.ledger.answers["refused"]
    wait_until(lambda: callers.ledger.answers["refused"] > refused)
    heroku.start("web", "worker", port=port)
