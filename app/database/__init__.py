"""The database: SQLite or PostgreSQL, one set of tables, and the migrations between versions."""
