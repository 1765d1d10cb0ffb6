"""One event a line, in the form that was asked for, and no text of an error in any."""

import json
import subprocess
import sys
from functools import cache

import pytest

from tests.support.bridge_process import ROOT

SAY = """
import logging, sys
from app.logs import configure_logs, get_logger

configure_logs(*sys.argv[1:])
log = get_logger("app.somewhere")
log.debug("tried", attempt=1)
log.info("sent", events=3, account=None, reason='two "words"\\nand a line', duration=0.25)
logging.getLogger("gunicorn.error").info("Booting worker with pid: %s", 7)
logging.getLogger("gunicorn.error").debug("canary")
logging.getLogger("segment").error("canary")
logging.getLogger("urllib3.connectionpool").debug("canary")
try:
    int("canary")
except ValueError:
    logging.getLogger("a.library").exception("it failed")
    log.error("it failed", exc_info=True)
"""


@cache
def lines(*how: str) -> tuple[str, ...]:
    """What a process logs that was configured so."""
    said = subprocess.run(
        [sys.executable, "-c", SAY, *how],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert said.stdout == ""
    assert "canary" not in said.stderr
    return tuple(said.stderr.splitlines())


def test_json_has_a_field_for_each_thing_logged() -> None:
    found = [json.loads(line) for line in lines("info", "json")]
    sent, booting, library, ours = found
    assert sent.pop("timestamp").endswith("Z")
    assert sent == {
        "level": "info",
        "event": "sent",
        "events": 3,
        "account": None,
        "reason": 'two "words"\nand a line',
        "duration": 0.25,
        "logger": "app.somewhere",
    }
    assert (booting["event"], booting["logger"]) == ("Booting worker with pid: 7", "gunicorn.error")
    for failed in (library, ours):
        assert failed["error"].startswith("ValueError at <string>:")
        assert "exc_info" not in failed


def test_logfmt_is_one_line_an_event() -> None:
    sent, *others = lines("info", "logfmt")
    assert sent.startswith("timestamp=20")
    assert sent.endswith(
        r' level=info event=sent events=3 account= reason="two \"words\"\nand a line"'
        " duration=0.25 logger=app.somewhere"
    )
    assert len(others) == 3


def test_what_nobody_watches_is_logfmt_and_not_coloured() -> None:
    assert [line.split()[1] for line in lines("info", "auto")] == [
        line.split()[1] for line in lines("info", "logfmt")
    ]
    assert "\x1b" not in "".join(lines("info", "pretty"))


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 5), ("info", 4), ("warning", 3), ("error", 3)]
)
def test_the_level_is_the_least_that_is_logged(level: str, count: int) -> None:
    # gunicorn's own lines are few, and tell that a process started or why it ended
    assert len(lines(level, "logfmt")) == count
