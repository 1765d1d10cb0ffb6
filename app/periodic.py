"""Run a task periodically, in a thread of its own."""

import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe
from app.logs import error_location, get_logger

log = get_logger(__name__)


def every(seconds: float, task: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread that runs the task now and every so many seconds.

    Errors are logged, and the next run follows all the same. The thread ends with the process.
    """
    thread = threading.Thread(target=_run, args=(seconds, task, name), name=name, daemon=True)
    thread.start()
    return thread


def _run(seconds: float, task: Callable[[], object], name: str) -> None:
    pause = threading.Event()
    while True:
        try:
            task()
        except SQLAlchemyError as error:
            log.warning(f"{name}: outbox out of reach", reason=describe(error))
        except Exception as error:  # noqa: BLE001 - the task must go on, or nobody would notice
            log.error(f"{name}: fault of the bridge", reason=error_location(error))  # noqa: TRY400
        pause.wait(seconds)
