"""Alembic migrations. ``distill.db`` applies them when a database is opened."""
