"""The database's history, by alembic."""

from __future__ import annotations

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config

from service.settings import Settings


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at `url`; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url  # not an option: those are interpolated, and printed
    config.cmd_opts = argparse.Namespace(x=None)
    return config


def migrate(settings: Settings) -> None:
    """Brings the database to the newest schema, creating it where there is none."""
    command.upgrade(alembic_config(settings.database), "head")
