"""Give the rows of `users` the traits that earlier calls brought."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from app.warehouse.pipeline import Warehouse
from app.warehouse.rows import Row, Values

TABLE = "users"

AT_ONCE = 500
"""People who are looked up with one query."""

ReadUsers = Callable[[Sequence[str]], dict[str, Values]]
"""Returns the rows that there are of these people, by id."""


def with_earlier_traits(rows: Iterable[Row], read_users: ReadUsers) -> Iterator[Row]:
    """All rows, and for each person one in `users`: what was known, and over it what is new. A call
    has only the traits that its sender had at hand."""
    new: dict[str, Values] = {}
    for row in rows:
        if row.table == TABLE:
            id_ = row.values["id"]
            new[id_] = new.get(id_, {}) | row.values
        else:
            yield row
    earlier = read_users([*new]) if new else {}
    for id_, values in new.items():
        yield Row(TABLE, earlier.get(id_, {}) | values)


def users_of(warehouse: Warehouse) -> ReadUsers:
    """Looks people up in the warehouse."""

    def read_users(ids: Sequence[str]) -> dict[str, Values]:
        columns = [name for name in warehouse.types(TABLE) if name != "uuid_ts"]
        if not columns:
            return {}
        listed = ", ".join(map(warehouse.column, columns))
        found: dict[str, Values] = {}
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            places = ", ".join(["%s"] * len(some))
            statement = f"SELECT {listed} FROM {{{TABLE}}} WHERE id IN ({places})"  # noqa: S608
            for row in warehouse.run(statement, *some):
                named = dict(zip(columns, row, strict=True))
                known = {name: value for name, value in named.items() if value is not None}
                found[known["id"]] = known
        return found

    return read_users
