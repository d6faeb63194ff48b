"""The migrations and the tables say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Engine, MetaData, Table, insert, inspect, select, text

from service.api.app import create_app
from service.migrations import alembic_config, migrate
from service.shared.settings import Settings
from service.shared.states import State
from service.store.engine import make_engine
from service.store.experiments import Store
from service.store.records import SchemaRefused, StoreUnavailable
from service.store.tables import SCHEMA, metadata
from tests.fakes import FakeBackend
from tests.unit.service.conftest import START, TestClient, new_row

REVISIONS = [
    script.revision for script in ScriptDirectory.from_config(alembic_config("sqlite://")).walk_revisions()
]
TEXTS = {
    "state": "queued",
    "from_state": "failed",
    "to_state": "queued",
    "experiment_id": "e1",
    "sweep_id": "s1",
    "followup_id": "f1",
    "spec": "{}",
}


def test_autogenerate_finds_nothing_to_do(blank: Settings) -> None:
    """After all migrations the schema is that of tables.py: types, keys and indexes included."""
    migrate(blank)
    with engine_of(blank) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(blank: Settings) -> None:
    """`serve` migrates at every start."""
    migrate(blank)
    migrate(blank)


def test_downgrade_takes_everything_back(blank: Settings) -> None:
    """The way down leaves no table of ours."""
    migrate(blank)
    command.downgrade(alembic_config(blank.database), "base")
    with engine_of(blank) as engine:
        assert set(inspect(engine).get_table_names()) <= {"alembic_version"}


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_revision_come_along(blank: Settings, revision: str) -> None:
    """What was stored by any earlier version is all there afterwards, and the store reads it."""
    command.upgrade(alembic_config(blank.database), revision)
    with engine_of(blank) as engine:
        before = {table.name: fill(engine, table) for table in tables_of(engine)}
        migrate(blank)
        for table in tables_of(engine):
            for name, value in before.get(table.name, {}).items():
                with engine.connect() as connection:
                    assert connection.scalars(select(table.c[name])).all() == [value], (table.name, name)
    with closing(Store(blank.database)) as store:
        assert [each.id for each in store.in_states(State.QUEUED)] == ([] if "sweeps" in before else ["e1"])
        assert [each.reason for each in store.history("e1", after=0, limit=10)[0]] == ["reason"]
        assert store.get("e1").created_at == START


@contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    """An engine of the test's own."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings.database)
    try:
        yield engine
    finally:
        engine.dispose()


def tables_of(engine: Engine) -> list[Table]:
    """Our tables as the database has them now, those first to which others refer."""
    found = MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def fill(engine: Engine, table: Table) -> dict[str, Any]:
    """One row with a value in every column, which is what comes back."""
    values = {column.name: value_of(table.name, column) for column in table.columns}
    with engine.begin() as connection:
        connection.execute(insert(table).values(values))
        return dict(connection.execute(select(table)).one()._mapping)


def value_of(table: str, column: Column[Any]) -> Any:
    """Something that fits; a text's is the column's name where it may be anything."""
    kind = column.type.python_type
    if column.name == "id" and kind is str:
        return {"experiments": "e1", "sweeps": "s1", "followups": "f1", "tokens": "tok-1"}[table]
    if kind is datetime:
        return START
    if isinstance(column.type, JSON):
        return {"mIoU": 12.5}
    return TEXTS.get(column.name, column.name[:20]) if kind is str else kind(1 if kind is int else 0)


def test_trials_stopped_before_stay_stopped(blank: Settings) -> None:
    """What the class of an error told until 0003 its own column tells, of stopped trials and of no others."""
    command.upgrade(alembic_config(blank.database), "0003")
    rows = {
        "t0": ("cancelled", "StoppedEarly"),
        "t1": ("cancelled", None),
        "t2": ("failed", "DataError"),
        "t3": ("queued", None),
    }
    with engine_of(blank) as engine:
        tables = {table.name: table for table in tables_of(engine)}
        fill(engine, tables["sweeps"])
        for number, (name, (state, error)) in enumerate(rows.items()):
            values = {
                column.name: value_of("experiments", column) for column in tables["experiments"].columns
            }
            values |= {"id": name, "state": state, "error_type": error, "sweep_id": "s1", "trial": number}
            values |= {"idempotency_key": None}
            with engine.begin() as connection:
                connection.execute(insert(tables["experiments"]).values(values))
    migrate(blank)
    with closing(Store(blank.database)) as store:
        trials = {trial.id: trial for trial in store.trials("s1")}
        assert {name: trial.stopped for name, trial in trials.items()} == {
            name: name == "t0" for name in rows
        }
        assert {name: (trial.state, trial.error_type) for name, trial in trials.items()} == rows
        counted = {(each.state, each.stopped): each.number for each in store.sweeps.counts(["s1"])}
        assert counted[State.CANCELLED, True] == counted[State.CANCELLED, False] == 1


def test_the_column_for_stopped_trials_goes_again(blank: Settings) -> None:
    """The way down to 0003 keeps the rows, and with their errors what the column said."""
    migrate(blank)
    with closing(Store(blank.database)) as store:
        store.create(new_row("e1"), new_tags={})
    command.downgrade(alembic_config(blank.database), "0003")
    with engine_of(blank) as engine:
        assert "stopped" not in {column["name"] for column in inspect(engine).get_columns("experiments")}
        with engine.connect() as connection:
            assert list(connection.scalars(text("SELECT id FROM experiments"))) == ["e1"]


def test_records_of_what_was_deleted_go(blank: Settings) -> None:
    """Until 0013 a deletion left the records of attempts; those of what is there stay."""
    command.upgrade(alembic_config(blank.database), "0012")
    with engine_of(blank) as engine:
        tables = {table.name: table for table in tables_of(engine)}
        fill(engine, tables["experiments"])
        for number, owner in enumerate(("e1", "gone")):
            values = {column.name: value_of("attempts", column) for column in tables["attempts"].columns}
            values |= {"id": number, "kind": "experiment", "owner_id": owner}
            with engine.begin() as connection:
                connection.execute(insert(tables["attempts"]).values(values))
        migrate(blank)
        with engine.connect() as connection:
            assert connection.scalars(select(tables["attempts"].c.owner_id)).all() == ["e1"]


def test_an_absent_server_is_one_line_without_the_password(tmp_path: Path) -> None:
    """Nobody listens on port 1: the error names the setting and says why, in one line."""
    absent = Settings(data_dir=tmp_path, database_url="postgresql://me:hunter2@127.0.0.1:1/rebalance")
    with pytest.raises(StoreUnavailable, match=r"REBALANCE_DATABASE_URL: .*127\.0\.0\.1.*refused") as caught:
        migrate(absent)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "sqlalche" not in str(caught.value)


def test_an_unknown_schema_is_refused(blank: Settings) -> None:
    """A database that a newer version has migrated is left alone, and the error says so."""
    migrate(blank)
    with engine_of(blank) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaRefused, match=r"this version does not know.*9999"):
        migrate(blank)
    with closing(Store(blank.database)) as store:
        store.ping()  # one that was running before the upgrade goes on
        with pytest.raises(SchemaRefused, match=r"schema 9999, and this version knows those up to"):
            store.refuse_schema()


def test_the_tables_name_their_revision() -> None:
    """What a service asks of its database is the newest migration."""
    assert ScriptDirectory.from_config(alembic_config("sqlite://")).get_current_head() == SCHEMA


def test_an_older_schema_is_refused(blank: Settings) -> None:
    """The service does not start on it, and says what to run; one whose database goes back is not ready."""
    command.upgrade(alembic_config(blank.database), "0003")
    with closing(Store(blank.database)) as store:
        for ask in (store.ping, store.refuse_schema):
            with pytest.raises(
                SchemaRefused, match=f"schema 0003, .*needs {SCHEMA}; run `rebalance migrate`"
            ):
                ask()
    with pytest.raises(SchemaRefused), TestClient(create_app(blank, FakeBackend())):
        pass
    assert migrate(blank)[-1] == SCHEMA
    with closing(Store(blank.database)) as store:
        store.refuse_schema()


def test_a_service_may_start_before_its_database(tmp_path: Path) -> None:
    """Who does not answer has no schema to refuse: readiness tells, and it may come."""
    absent = Settings(data_dir=tmp_path, database_url="postgresql://me@127.0.0.1:1/rebalance")
    with closing(Store(absent.database)) as store:
        store.refuse_schema()
        with pytest.raises(StoreUnavailable, match="refused"):
            store.ping()


def test_url_with_percent_signs(tmp_path: Path) -> None:
    """A directory or password with % in it is not taken for an interpolation."""
    odd = Settings(data_dir=tmp_path / "50%d")
    migrate(odd)
    assert (odd.data_dir / "rebalance.db").exists()
