"""States as the indexes have them: spelt out, not bound, or SQLite could not use the indexes."""

from sqlalchemy import ColumnElement, literal_column

IS_PENDING: ColumnElement[bool] = literal_column("events.state") == literal_column("'pending'")
IS_SETTLED: ColumnElement[bool] = literal_column("events.state") != literal_column("'pending'")
