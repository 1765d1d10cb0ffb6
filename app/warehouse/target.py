"""Which warehouse is loaded into, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL


@dataclass(frozen=True)
class Target:
    """A schema in a database."""

    url: URL
    """Of another kind than DuckDB and PostgreSQL it has the name alone, as dlt knows it; dlt reads
    the rest from settings of its own."""
    schema: str
    destinations: Sequence[str] = ("segment",)
    """Messages for these destinations are loaded."""

    @property
    def kind(self) -> str:
        """What dlt calls it: "duckdb", "postgres" and so on."""
        return "postgres" if self.url.drivername == "postgresql" else self.url.drivername

    @property
    def fingerprint(self) -> str:
        """It stays while the warehouse does, with any user and password."""
        url = self.url
        place = (url.drivername, url.host, url.query.get("host"), url.port, url.database)
        file = str(Path(url.database or "").absolute()) if self.kind == "duckdb" else ""
        return sha256(repr((*place, file, self.schema)).encode()).hexdigest()[:16]

    @property
    def credentials(self) -> str:
        """Where it is, as dlt wants it. It wants a password even if the server wants none, and a
        Unix socket in the place of the host."""
        if self.kind == "duckdb":
            return self.url.database or ""
        host = self.url.query.get("host")
        url = self.url.set(password=self.url.password or "")
        if not url.host and isinstance(host, str):
            url = url.set(host=quote(host, safe="")).difference_update_query(["host"])
        return url.render_as_string(hide_password=False)
