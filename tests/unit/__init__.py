"""Pure: no database, no process, no network."""
