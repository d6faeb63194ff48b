"""The database as one file, and back: SQLite or Postgres, into either, also from an older schema.

The file is gzip over lines of JSON: a head (format, schema, when), one line for each row, and a foot with the
number of rows and their SHA-256. Run directories are plain files, and are copied as such.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from service.migrations import migrate
from service.shared.settings import Settings
from service.store import dump
from service.store.engine import make_engine, words_of, writing
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from service.store.tables import SCHEMA
from trainer.base.errors import RegionRebalanceError
from trainer.base.files import writing_atomically

_FORMAT = "region-rebalance backup 1"
_LONGEST_LINE = 64 << 20  # bytes: a row is a document of 1 MB at most, as it came and with every default
_OWNER_ONLY = 0o600  # digests of tokens are in it, and everything that was asked


class BackupRefused(RegionRebalanceError):
    """The file is no backup, a damaged one, or there is no empty database to take it; says which."""


def backup(settings: Settings, file: Path, now: datetime) -> int:
    """Writes all rows, as they stand at one moment, while the service runs or not; how many.

    Raises:
        StoreUnavailable, SchemaRefused: the database does not answer, or has another schema.
        BackupRefused: the file is there already. DiskFull, OSError: it cannot be written; nothing stays.
    """
    if file.exists():
        raise BackupRefused(f"{file}: is there already; allowed: a name that is not taken")
    with closing(Store(settings.database)) as store:
        store.ping()
    head = {"format": _FORMAT, "schema": SCHEMA, "created_at": now.isoformat()}
    digest, rows = hashlib.sha256(), 0
    with (
        _engine(settings) as engine,
        writing_atomically(file, mode=_OWNER_ONLY) as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed,
    ):
        packed.write(_line(head))
        for row in dump.dumped(engine):
            line = dump.as_line(row)
            digest.update(line)
            packed.write(line)
            rows += 1
        packed.write(_line({"rows": rows, "sha256": digest.hexdigest()}))
    return rows


def restore(settings: Settings, file: Path) -> dict[str, int]:
    """Fills an empty database from a backup, and brings it to this version's schema: rows by table.

    The file is read through before anything is written.

    Raises:
        BackupRefused: see there. StoreUnavailable, SchemaRefused: as `migrate`.
    """
    schema = _checked(file)
    with _engine(settings) as engine:
        with engine.connect() as connection:
            if not dump.is_empty(connection):
                raise BackupRefused("the database is not empty; allowed: a new one, so that nothing is mixed")
        migrate(settings, to=schema)
        with writing(engine).begin() as connection, _opened(file) as stream:
            try:
                counts = dump.load(connection, _rows(file, stream))
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                raise BackupRefused(f"{file}: {error}") from error
            except (DataError, IntegrityError, ProgrammingError) as error:  # of a row: the database is well
                raise BackupRefused(f"{file}: {words_of(error, engine.url)}") from error
    migrate(settings)
    return counts


def _checked(file: Path) -> str:
    """The backup's schema, once all of it was read and its sum is right."""
    digest, rows = hashlib.sha256(), 0
    with _opened(file) as stream:
        lines = _lines(file, stream)
        schema = _schema_in(file, next(lines, b""))
        for line in lines:
            if not line.startswith(b"["):
                if _object(file, line) != {"rows": rows, "sha256": digest.hexdigest()}:
                    raise BackupRefused(f"{file}: is damaged: {rows} rows are not those that were written")
                return schema
            digest.update(line)
            rows += 1
    raise BackupRefused(f"{file}: is cut short after {rows} rows")


def _schema_in(file: Path, line: bytes) -> str:
    """What the head says that the rows are of."""
    head = _object(file, line)
    schema = head.get("schema")
    if head.get("format") != _FORMAT or not isinstance(schema, str):
        raise BackupRefused(f"{file}: is no backup of this service ({_FORMAT!r} is missing)")
    if not re.fullmatch(r"[0-9]{4}", schema) or schema > SCHEMA:
        raise BackupRefused(
            f"{file}: has schema {schema[:20]!r}, which this version does not know; allowed: up to {SCHEMA}. "
            "The version that made it can restore it, and newer ones"
        )
    return schema


def _rows(file: Path, stream: BinaryIO) -> Iterator[dump.Row]:
    """Raises ValueError where a line is no row."""
    for line in _lines(file, stream):
        if line.startswith(b"["):
            match json.loads(line):
                case [str() as name, dict() as values]:
                    yield name, values
                case _:
                    raise ValueError("a row is no table's name with its columns")


def _lines(file: Path, stream: BinaryIO) -> Iterator[bytes]:
    """One after the other, each of bounded size: a file without ends of lines would fill the memory."""
    number = 0
    while line := stream.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise BackupRefused(
                f"{file}: is no backup, or a damaged one: line {number} is longer than "
                f"{_LONGEST_LINE >> 20} MiB, which no row is"
            )
        yield line


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(file, "rb") as stream:
            yield stream  # type: ignore[misc]
    except FileNotFoundError:
        raise BackupRefused(f"{file}: is not there") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BackupRefused(f"{file}: is no backup, or a damaged one: {error}") from error


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings.database)
    try:
        yield engine
    except DBAPIError as error:
        raise StoreUnavailable(words_of(error, engine.url)) from error
    finally:
        engine.dispose()


def _line(document: dict[str, Any]) -> bytes:
    return (json.dumps(document) + "\n").encode()


def _object(file: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BackupRefused(f"{file}: is no backup of this service")
    return found
