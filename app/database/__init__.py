"""The database: two engines, one set of tables, and the migrations between their versions."""
