"""One thing that is wrong, for pages, checks, alerts and commands. Pure.

`problems.py` finds the problems of a direction. Those of a single process are here.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from app.destination import Labels

Level = Literal["critical", "warning", "notice"]
"""Whether messages do not flow, an operator should act, or it is only shown."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""The gravest first."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `title`, `facts` and `action` name no account and no person: anyone
    may read them."""

    name: str
    """It never changes while the problem lasts."""
    level: Level
    title: str
    """What is wrong, without a full stop."""
    facts: str
    """How much and since when, in sentences."""
    action: str
    """What to do, in sentences."""
    over: str
    """What its end is called."""
    count: int = 1
    """How many messages it concerns. An alert is repeated when this grows tenfold."""
    since: float | None = None
    """In seconds since the epoch."""
    accounts: tuple[str, ...] = ()
    """Those that it concerns, if not all."""
    page: str = ""
    """The path of the inspector's page that shows more."""
    retries: str = ""
    """The state of the messages that an operator may retry because of it."""
    destination: str = ""
    """The name of their destination."""

    @property
    def sentence(self) -> str:
        """All of it for anyone."""
        return " ".join(filter(None, (f"{self.title}.", self.facts, self.action)))


def unkept(labels: Labels) -> Problem:
    """The problem of a process that could not keep the latest webhook."""
    return Problem(
        "unkept",
        "critical",
        f"Webhooks from {labels.source} cannot be kept",
        f"Each is answered {labels.not_kept}. {labels.sent_again}",
        "See whether the database can be written (its disk, its role's rights, whether it is "
        "read-only) and the log.",
        f"Webhooks from {labels.source} are kept again",
    )


def unreadable(reason: str) -> Problem:
    """The problem of a database that cannot be read."""
    over = "The database can be read again"
    return Problem("unread", "critical", reason.removesuffix("."), "", "", over)


UNWRITTEN = Problem(
    "unwritten",
    "critical",
    "The database cannot be written",
    "",
    "See its disk, its role's rights, whether it is read-only, and the log.",
    "The database can be written again",
)
