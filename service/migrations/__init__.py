"""The database's history, by alembic."""

from __future__ import annotations

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from service.shared.settings import Settings
from service.store.engine import encoding_of, words_of
from service.store.records import SchemaRefused, StoreUnavailable

APPLIED = "applied"  # among the configuration's attributes: the revisions that a command has applied


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at `url`; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url  # not an option: those are interpolated, and printed
    config.cmd_opts = argparse.Namespace(x=None)
    return config


def migrate(settings: Settings, *, to: str = "head") -> tuple[str, ...]:
    """Brings the database to the newest schema, creating it where there is none: the revisions applied.

    `to`: another revision, for what is to be filled from a backup of then.

    Any number may do so at once: one applies them, the others find all done.

    Raises:
        StoreUnavailable: it does not answer, or refuses us.
        SchemaRefused: it has a schema that this version does not know, or another encoding than UTF-8.
    """
    url = make_url(settings.database)
    where = f"REBALANCE_DATABASE_URL: database {url.database!r}" + (f" at {url.host}" if url.host else "")
    try:
        encoding = encoding_of(settings.database)
        if encoding != "UTF8":
            raise SchemaRefused(f"{where} cannot be used: it is encoded in {encoding}; allowed: UTF8")
        config = alembic_config(settings.database)
        command.upgrade(config, to)
    except DBAPIError as error:
        raise StoreUnavailable(f"{where} cannot be used: {words_of(error, url)}") from error
    except CommandError as error:
        raise SchemaRefused(f"{where} has a schema that this version does not know: {error}") from error
    return tuple(config.attributes.get(APPLIED, ()))
