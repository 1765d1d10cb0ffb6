"""Erase a person in the warehouse: their rows, and what mentions them in other people's."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from app.outbox.address_matcher import AddressMatcher
from app.outbox.erasures import Erasures
from app.warehouse.pipeline import Warehouse

WHOSE = ("anonymous_id", "user_id", "context_traits_email", "email")
"""The columns that say whose row it is."""

PAGE = 1_000
"""Rows that are looked at together."""


def erase_asked(warehouse: Warehouse, erasures: Erasures) -> None:
    """Erase everybody who still has to be erased in the warehouse."""
    for email, asked_at in erasures.asked():
        erase_person(warehouse, email)
        erasures.end(email, asked_at)


def erase_person(warehouse: Warehouse, email: str) -> None:
    """Delete the rows of the person with this address. Other people's rows that mention it stay,
    and lose the values that do."""
    matcher = AddressMatcher(email)
    for table in warehouse.tables:
        texts = [name for name, kind in warehouse.types(table).items() if kind == "text"]
        for rows in _candidates(warehouse, table, texts, _certain_part(email)):
            own = []
            for row in rows:
                named = [name for name in texts if name != "id" and matcher.is_in(row[name])]
                if matcher.is_in(row["id"]) or not {*WHOSE}.isdisjoint(named):
                    own.append(row["id"])
                elif named:
                    _clear(warehouse, table, row["id"], named)
            if own:
                places = ", ".join(["%s"] * len(own))
                id_ = warehouse.column("id")
                warehouse.run(f"DELETE FROM {{{table}}} WHERE {id_} IN ({places})", *own)  # noqa: S608


def _certain_part(email: str) -> str:
    """The longest part of an address that nothing escapes: ASCII letters and digits."""
    return max(re.findall("[a-z0-9]+", email.lower()), key=len, default="")


def _candidates(
    warehouse: Warehouse, table: str, texts: Sequence[str], part: str
) -> Iterator[list[dict[str, Any]]]:
    """The rows that may mention the address, in pages."""
    columns = ", ".join(map(warehouse.column, texts))
    mentions = " OR ".join(f"lower({warehouse.column(name)}) LIKE %s" for name in texts)
    id_ = warehouse.column("id")
    page = (
        f"SELECT {columns} FROM {{{table}}} WHERE {id_} > %s AND ({mentions}) "  # noqa: S608 - ours
        f"ORDER BY {id_} LIMIT {PAGE}"
    )
    last = ""
    while rows := warehouse.run(page, last, *[f"%{part}%"] * len(texts)):
        named = [dict(zip(texts, row, strict=True)) for row in rows]
        last = named[-1]["id"]
        yield named


def _clear(warehouse: Warehouse, table: str, id_: str, columns: Sequence[str]) -> None:
    empty = ", ".join(f"{warehouse.column(name)} = NULL" for name in columns)
    id_column = warehouse.column("id")
    warehouse.run(f"UPDATE {{{table}}} SET {empty} WHERE {id_column} = %s", id_)  # noqa: S608
