"""The database's URL: which are known, whether a password stands in one, and one that a file holds."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.base.secret_files import SecretRefused, read_secret

# As SQLAlchemy reads it. An @ anywhere else would make part of a password the host or the database's name,
# and those stand in messages.
_POSTGRES = re.compile(
    r"postgresql(\+psycopg)?://([^:/@]*(:(?P<password>[^@]*))?@)?(\[[^]@]*\]|[^/:@?]*)(:\d{1,5})?"
    r"(/[^?@]*)?(\?(?P<query>.*))?",
    re.DOTALL,
)


def known_database(url: str) -> str:
    """`url`, which is SQLite's or Postgres'.

    Raises:
        ValueError: it is neither, or not written as it must be; without the URL.
    """
    if url.startswith("sqlite:///"):
        return url
    if not url.startswith(("postgresql://", "postgresql+psycopg://")):
        raise ValueError("allowed: sqlite:///FILE, postgresql://… or postgresql+psycopg://…")
    if _POSTGRES.fullmatch(url) is None:
        raise ValueError(
            "allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, an @ in one of them written as %40"
        )
    return url


def database_in(file: Path) -> str:
    """The URL that `file` holds: see `read_secret` for which files may.

    Raises:
        ValueError: there is none that is known; with the file's name, never what is in it.
    """
    try:
        return known_database(read_secret(file, "the database's URL"))
    except SecretRefused as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def has_password(url: str) -> bool:
    """Whether somebody who sees the URL sees a password."""
    found = _POSTGRES.fullmatch(url)
    if found is None:
        return "@" in url
    return bool(found["password"]) or "password=" in (found["query"] or "")
