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
from service.store.records import StoreUnavailable
from service.store.tables import words_of


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at `url`; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url  # not an option: those are interpolated, and printed
    config.cmd_opts = argparse.Namespace(x=None)
    return config


def migrate(settings: Settings) -> None:
    """Brings the database to the newest schema, creating it where there is none.

    Raises:
        StoreUnavailable: it does not answer, refuses us, or has a schema that this version does not know.
    """
    url = make_url(settings.database)
    where = f"REBALANCE_DATABASE_URL: database {url.database!r}" + (f" at {url.host}" if url.host else "")
    try:
        command.upgrade(alembic_config(settings.database), "head")
    except DBAPIError as error:
        raise StoreUnavailable(f"{where} cannot be used: {words_of(error, url)}") from error
    except CommandError as error:
        raise StoreUnavailable(f"{where} has a schema that this version does not know: {error}") from error
