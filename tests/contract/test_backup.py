"""`rebalance backup` and `restore`: everything that is stored, from either database into either."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from service.cli.main import main
from service.migrations import migrate
from service.migrations.backup import BackupRefused, backup, restore
from service.reconcile.reconciler import utc_now
from service.shared.access.acting import ACTOR
from service.shared.log_lines import REQUEST_ID
from service.shared.settings import Settings
from service.shared.states import State
from service.store import dump
from service.store.attempts.values import AttemptRecord
from service.store.engine import make_engine
from service.store.experiments import Store
from service.store.records import Outcome
from service.store.tables import SCHEMA, experiments
from service.store.trail.audit import DeedFilters
from tests.postgres import Server
from tests.unit.service.conftest import make_token, new_row
from trainer.base.ends import ExitCode
from trainer.storage.notices import Notice

pytestmark = pytest.mark.integration

Make = Callable[[str], Settings]
KINDS = ("sqlite", "postgres")


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Settings with an empty database of a kind, each time another one."""
    numbers, opened = itertools.count(), ExitStack()

    def make(kind: str) -> Settings:
        name = f"kept{next(numbers)}"
        if kind == "sqlite":
            return Settings(data_dir=tmp_path / name)
        server: Server = request.getfixturevalue("postgres")
        opened.callback(server.drop, name)
        return Settings(data_dir=tmp_path / name, database_url=server.create(name))

    with opened:
        yield make


def _fill(settings: Settings) -> None:
    """Rows of most tables, with texts, times and numbers of all kinds, and empty ones."""
    migrate(settings)
    make_token(settings, "admin")
    with closing(Store(settings.database)) as store:
        store.create(new_row("e1", name="Größe 日本 😀"), new_tags={"purpose": "a λ"})
        row = store.create(new_row("e2"), new_tags={})
        store.note([(row, [Notice(code="code", text="text", hint="hint")])], now=utc_now())
        row = store.transition(store.get("e2"), to=State.SUBMITTED, reason="a\nb", now=utc_now())
        done = Outcome(headline={"mIoU": 12.345678901234567, "mAcc": None})
        store.transition(row, to=State.COMPLETED, reason="done", now=utc_now(), outcome=done)


def _rows(settings: Settings) -> list[dump.Row]:
    engine = make_engine(settings.database)
    try:
        return list(dump.dumped(engine))
    finally:
        engine.dispose()


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_everything_comes_back(made: Make, tmp_path: Path, source: str, target: str) -> None:
    """Row by row, and the service goes on: what happens next gets a number that is not taken."""
    here, there, file = made(source), made(target), tmp_path / "backup.gz"
    _fill(here)
    count = backup(here, file, utc_now())
    assert file.stat().st_mode & 0o777 == 0o600
    assert sum(restore(there, file).values()) == count > 5
    assert _rows(there) == _rows(here)
    with closing(Store(there.database)) as store:
        store.request_cancel("e1", now=utc_now())
        store.transition(store.get("e1"), to=State.CANCELLED, reason="after", now=utc_now())
        assert [event.reason for event in store.history("e1", after=0, limit=9)[0]][-1] == "after"


@pytest.mark.parametrize(("source", "target"), [KINDS, KINDS[::-1]])
def test_attempts_and_who_asked_come_back(made: Make, tmp_path: Path, source: str, target: str) -> None:
    """Every column of both, and what is recorded next gets a number that is not taken."""
    here, there, file = made(source), made(target), tmp_path / "backup.gz"
    migrate(here)
    now = utc_now()
    tried = AttemptRecord(
        attempt=1,
        job_id="e1-1",
        submitted_at=now,
        started_at=now,
        ended_at=now,
        host="Knoten-1 λ",
        job_status="failed",
        exit_code=-9,
        error_type="WorkerLost",
        reason="a\nb",
        counted=True,
        log="runs/e1/1/log.txt",
    )
    with closing(Store(here.database)) as store, asked_by("kim"):
        store.create(new_row("e1"), new_tags={}, attempts=[tried, replace(tried, attempt=2, host=None)])
        store.audit.note("gc", "storage", None, now=now, detail="2 orphans; 1,006 bytes")
        store.request_cancel("e1", now=now)
        before = store.attempts("e1"), store.audit.page(DeedFilters(), cursor=None, limit=9)
    backup(here, file, now)
    counts = restore(there, file)
    assert (counts["attempts"], counts["audit"]) == (2, 3)
    with closing(Store(there.database)) as store, asked_by("lee"):
        after = store.attempts("e1"), store.audit.page(DeedFilters(), cursor=None, limit=9)
        assert after == before
        assert (len(after[0][0]), [each.actor for each in after[1][0]]) == (2, ["kim"] * 3)
        store.audit.note("gc", "storage", None, now=now, detail="nothing; 0 bytes")
        store.create(new_row("e2"), new_tags={}, attempts=[replace(tried, job_id="e2-1")])
        deeds = store.audit.page(DeedFilters(), cursor=None, limit=9)[0]
        assert [(each.id, each.actor) for each in deeds][:2] == [(5, "lee"), (4, "lee")]
        assert store.attempts("e2")[0][0].job_id == "e2-1"


@contextmanager
def asked_by(name: str) -> Iterator[None]:
    """A request of theirs is being answered."""
    before = REQUEST_ID.set("r1"), ACTOR.set(name)
    try:
        yield
    finally:
        REQUEST_ID.reset(before[0])
        ACTOR.reset(before[1])


def test_a_null_stays_one(made: Make, tmp_path: Path) -> None:
    """SQL's, not JSON's: who asks for rows without notices finds them."""
    here, there, file = made("sqlite"), made("sqlite"), tmp_path / "backup.gz"
    _fill(here)
    backup(here, file, utc_now())
    restore(there, file)
    engine = make_engine(there.database)
    with engine.connect() as connection:
        found = connection.execute(select(experiments.c.id).where(experiments.c.notices.is_(None))).scalars()
        assert list(found) == ["e1"]
    engine.dispose()


def test_a_backup_of_an_older_schema_is_brought_up_to_date(made: Make, tmp_path: Path) -> None:
    """Rows as a version without follow-ups, tokens and the queue had them."""
    here, file = made("sqlite"), tmp_path / "backup.gz"
    _fill(here)
    backup(here, file, utc_now())
    lines = gzip.decompress(file.read_bytes()).splitlines()
    columns = _columns_of(made("sqlite"), "0004")
    rows = [json.loads(line) for line in lines[1:-1]]
    old = [
        dump.as_line((table, {name: row[name] for name in columns[table]})).rstrip(b"\n")
        for table, row in rows
        if table in columns
    ]
    assert {"experiments", "events", "tags"} <= set(columns)
    _write(tmp_path / "old.gz", {**json.loads(lines[0]), "schema": "0004"}, old)
    there = made("sqlite")
    restore(there, tmp_path / "old.gz")
    with closing(Store(there.database)) as store:
        store.ping()  # raises where the schema is another
        assert store.get("e2").headline == {"mIoU": 12.345678901234567, "mAcc": None}


def _columns_of(settings: Settings, revision: str) -> dict[str, list[str]]:
    """What each table had then."""
    migrate(settings, to=revision)
    engine = make_engine(settings.database)
    found = MetaData()
    found.reflect(engine)
    engine.dispose()
    return {name: table.c.keys() for name, table in found.tables.items()}


def _write(file: Path, head: dict[str, object], rows: list[bytes]) -> None:
    body = b"".join(row + b"\n" for row in rows)
    foot = {"rows": len(rows), "sha256": hashlib.sha256(body).hexdigest()}
    file.write_bytes(
        gzip.compress(json.dumps(head).encode() + b"\n" + body + json.dumps(foot).encode() + b"\n")
    )


def test_nothing_is_mixed_or_half_read(made: Make, tmp_path: Path) -> None:
    """A database with rows, a file that is cut, changed, or something else: refused, and nothing written."""
    here, file = made("sqlite"), tmp_path / "backup.gz"
    _fill(here)
    backup(here, file, utc_now())
    with pytest.raises(BackupRefused, match="not empty"):
        restore(here, file)
    with pytest.raises(BackupRefused, match="there already"):
        backup(here, file, utc_now())
    content = gzip.decompress(file.read_bytes())
    damaged = {
        "cut.gz": gzip.compress(content[:-200]),
        "torn.gz": file.read_bytes()[:-20],
        "changed.gz": gzip.compress(content.replace(b"done", b"DONE")),
        "other.gz": gzip.compress(b'{"format": "another"}\n'),
        "newer.gz": gzip.compress(content.replace(SCHEMA.encode(), b"9999", 1)),
        "nested.gz": gzip.compress(b'{"a":' * 200_000),
        "endless.gz": gzip.compress(content[: content.index(b"\n") + 1] + b"[" * (65 << 20), compresslevel=1),
        "none.gz": b"not gzip",
    }
    crafted = [b'["experiments"]', b'["experiments", 5]', b"[" * 200_000, b'["nothing", {}]']
    unfit: list[dict[str, object]] = [{"at": 5}, {"at": "noon"}, {"id": 2**70}, {"id": 1}, {"detail": [1]}]
    crafted += [json.dumps(["audit", each]).encode() for each in unfit]
    for number, row in enumerate(crafted):
        _write(tmp_path / f"crafted{number}.gz", json.loads(content.splitlines()[0]), [row])
        damaged[f"crafted{number}.gz"] = (tmp_path / f"crafted{number}.gz").read_bytes()
    there = made("sqlite")
    for name, bad in damaged.items():
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(BackupRefused, match=name):
            restore(there, tmp_path / name)
    assert not Path(there.own_database.file).exists() or _is_blank(there)


def _is_blank(settings: Settings) -> bool:
    engine = make_engine(settings.database)
    with engine.connect() as connection:
        blank = dump.is_empty(connection)
    engine.dispose()
    return blank


def test_from_a_terminal(made: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, there = made("sqlite"), made("sqlite")
    _fill(here)
    file = str(tmp_path / "backup.gz")
    assert main(["backup", file, "--data-dir", str(here.data_dir)]) == ExitCode.DONE
    assert main(["restore", file, "--data-dir", str(there.data_dir), "--json"]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1])["restored"]["experiments"] == 2
    assert main(["restore", file, "--data-dir", str(there.data_dir)]) == ExitCode.BAD_INPUT
    assert main(["restore", f"{file}x", "--data-dir", str(there.data_dir)]) == ExitCode.BAD_INPUT
    assert "is not there" in capsys.readouterr().err
