"""Alembic's migrations, each from one version's tables to the next."""
