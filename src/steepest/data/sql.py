"""`sql:URL QUERY`: the rows of a query, through sqlite3, SQLAlchemy or ADBC."""

from __future__ import annotations

import importlib.util
import re
from contextlib import closing

import polars as pl

from steepest.core.errors import MissingExtraError, UsageError
from steepest.data.guard import reading

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]*@")


def read_sql(text: str) -> tuple[pl.DataFrame, str]:
    """The frame of `sql:URL QUERY`, and a name without the password.

    `sqlite:///file.db` needs nothing more; other databases need SQLAlchemy, or the ADBC driver for
    such URLs (`adbc_driver_postgresql` for `postgresql://`), which is preferred where it is there.
    """
    url, _, query = text.removeprefix("sql:").strip().partition(" ")
    name = "sql:" + hide_password(url)
    if "://" not in url or not query.strip():
        raise UsageError(
            f"{hide_password(text)!r} is not a query; "
            "write `sql:URL QUERY`, as in 'sql:sqlite:///shop.db SELECT * FROM orders'."
        )
    try:
        with reading(name, "a query", "check the URL and the query"):
            return _frame(url, query.strip()), name
    except Exception as error:
        # Drivers like to repeat the URL.
        error.args = tuple(
            hide_password(a).replace(url, hide_password(url)) if isinstance(a, str) else a
            for a in error.args
        )
        raise


def _frame(url: str, query: str) -> pl.DataFrame:
    if url.startswith("sqlite:///"):
        import sqlite3

        # Read only: a query that writes fails, and a file that is not there is not created.
        file = f"file:{url.removeprefix('sqlite:///')}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as connection:
            return pl.read_database(query, connection, infer_schema_length=None)
    if has_adbc(url):
        return by_adbc(url, query)
    try:
        import sqlalchemy
    except ImportError:
        raise MissingExtraError("sqlalchemy", "sql", "Reading from a database") from None
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            return pl.read_database(query, connection, infer_schema_length=None)
    finally:
        engine.dispose()


def has_adbc(url: str) -> bool:
    """Whether the ADBC driver for such URLs is installed; `postgresql+psycopg` is SQLAlchemy's."""
    scheme = re.sub("^postgres$", "postgresql", url.partition("://")[0])
    drivers = ("adbc_driver_manager", f"adbc_driver_{scheme}")
    return scheme.isidentifier() and all(importlib.util.find_spec(d) for d in drivers)


def by_adbc(url: str, query: str) -> pl.DataFrame:
    """The rows of a query, column by column as Arrow."""
    return pl.read_database_uri(query, url, engine="adbc")


def hide_password(text: str) -> str:
    """`scheme://user:***@host` for `scheme://user:secret@host`."""
    return _PASSWORD.sub(r"\1:***@", text)
