"""How many people opened and clicked each email, bounced, unsubscribed or complained."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.formatting import printable, thousands
from app.warehouse.failure import failures_logged
from app.warehouse.pipeline import Warehouse
from app.warehouse.target import Target

MOST = 30
"""Emails that are shown, the newest first."""

COUNTED = {
    "email_delivered": "Delivered",
    "email_opened": "Opened",
    "email_link_clicked": "Clicked",
    "email_bounced": "Bounced",
    "email_unsubscribed": "Unsubscribed",
    "email_marked_as_spam": "Spam",
}
"""Table → the column of the report."""

PERSON = "context_traits_email"

BY_EMAIL = (
    "SELECT email_id, max(email_subject), max(timestamp), count(DISTINCT context_traits_email) "
    "FROM {{{table}}} WHERE email_id IS NOT NULL GROUP BY email_id"
)

# Drip does not say after which email a person unsubscribed: the last one before is taken
UNSUBSCRIBED = (
    "SELECT email_id, max(email_subject), max(timestamp), count(DISTINCT person) FROM ("
    "SELECT d.email_id, d.email_subject, d.timestamp, u.context_traits_email AS person, "
    "row_number() OVER (PARTITION BY u.id ORDER BY d.timestamp DESC) AS place "
    "FROM {email_unsubscribed} u JOIN {email_delivered} d "
    "ON d.context_traits_email = u.context_traits_email AND d.timestamp <= u.timestamp"
    ") latest WHERE place = 1 AND email_id IS NOT NULL GROUP BY email_id"
)


@dataclass
class Email:
    """What became of one email."""

    subject: str = ""
    newest: str = ""
    """When something of it last happened, to sort by."""
    people: dict[str, int] = field(default_factory=dict)
    """Table → how many people are in it."""

    def cell(self, table: str) -> str:
        """How many people, and of those that it was delivered to."""
        count, delivered = self.people.get(table, 0), self.people.get("email_delivered", 0)
        if table == "email_delivered" or not delivered:
            return thousands(count)
        return f"{thousands(count)} ({100 * count / delivered:.1f} %)"


def read_report(target: Target) -> dict[str, Email]:
    """What became of each email, by its id. Raises `WarehouseFailed`."""
    emails: dict[str, Email] = {}
    with failures_logged("warehouse not read"), Warehouse.open(target) as warehouse:
        for table in COUNTED:
            for id_, subject, newest, people in _count(warehouse, table):
                email = emails.setdefault(str(id_), Email())
                email.subject = subject or email.subject
                email.newest = max(email.newest, newest.isoformat())
                email.people[table] = people
    return emails


def _count(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    if table == "email_unsubscribed":
        is_there = _has_emails(warehouse, "email_delivered") and PERSON in warehouse.types(table)
        return warehouse.run(UNSUBSCRIBED) if is_there else []
    return warehouse.run(BY_EMAIL.format(table=table)) if _has_emails(warehouse, table) else []


def _has_emails(warehouse: Warehouse, table: str) -> bool:
    """Whether anything is there yet that can be counted by email."""
    return {"email_id", "email_subject", PERSON} <= warehouse.types(table).keys()


def report_to_lines(emails: Mapping[str, Email]) -> Iterator[str]:
    """The report as a table."""
    newest = sorted(emails.values(), key=lambda each: each.newest, reverse=True)[:MOST]
    yield _line("Email", COUNTED.values())
    for email in newest:
        yield _line(email.subject, map(email.cell, COUNTED))


def _line(name: str, cells: Iterable[str]) -> str:
    return f"{printable(name)[:40]:40}" + "".join(f"{cell:>17}" for cell in cells)
