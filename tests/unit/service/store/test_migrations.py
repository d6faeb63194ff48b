"""The migrations and the tables say the same."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from service.migrations import alembic_config, migrate
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from service.store.tables import make_engine, metadata
from tests.unit.service.conftest import new_row


def test_autogenerate_finds_nothing_to_do(settings: Settings) -> None:
    """After all migrations the schema is that of tables.py: types, keys and indexes included."""
    migrate(settings)
    engine = make_engine(settings.database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(settings: Settings) -> None:
    """`serve` migrates at every start."""
    migrate(settings)
    migrate(settings)


def test_downgrade_takes_everything_back(settings: Settings) -> None:
    """The way down leaves no table of ours."""
    migrate(settings)
    command.downgrade(alembic_config(settings.database), "base")
    engine = make_engine(settings.database)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()


def test_sweeps_come_to_a_database_in_use(settings: Settings) -> None:
    """What was stored before is all there, its history included, and belongs to no sweep."""
    settings.data_dir.mkdir(parents=True)
    command.upgrade(alembic_config(settings.database), "0001")
    engine = make_engine(settings.database)
    old = vars(new_row("e1"))
    columns = (
        "id",
        "name",
        "state",
        "attempt",
        "failures",
        "spec",
        "spec_hash",
        "dataset",
        "model",
        "method",
    )
    values = {name: old[name] for name in columns} | {"at": "2026-01-02 03:04:05.000000"}
    with engine.begin() as connection:
        names = ", ".join((*columns, "created_at", "updated_at"))
        marks = ", ".join((*(f":{name}" for name in columns), ":at", ":at"))
        connection.execute(text(f"INSERT INTO experiments ({names}) VALUES ({marks})"), values)
        connection.execute(
            text(
                "INSERT INTO events (experiment_id, at, attempt, to_state, reason)"
                " VALUES ('e1', :at, 1, 'queued', 'stored')"
            ),
            values,
        )
    engine.dispose()
    migrate(settings)
    store = Store(settings.database)
    row = store.get("e1")
    assert (row.sweep_id, row.detached) == (None, False)
    assert [event.reason for event in store.history("e1", after=0, limit=10)[0]] == ["stored"]
    assert [each.id for each in store.in_states(row.state)] == ["e1"]
    store.close()


def test_trials_stopped_before_stay_stopped(settings: Settings) -> None:
    """What the class of an error told until 0003 its own column tells, of stopped trials and of no others."""
    settings.data_dir.mkdir(parents=True)
    command.upgrade(alembic_config(settings.database), "0003")
    engine = make_engine(settings.database)
    rows = {
        "t0": ("cancelled", "StoppedEarly"),
        "t1": ("cancelled", None),
        "t2": ("failed", "DataError"),
        "t3": ("queued", None),
    }
    with engine.begin() as connection:
        for number, (name, (state, error)) in enumerate(rows.items()):
            old = vars(new_row(name)) | {
                "state": state,
                "error_type": error,
                "sweep_id": "s",
                "trial": number,
            }
            del old["stopped"]
            old = {column: value for column, value in old.items() if value is not None}
            old |= {"created_at": "2026-01-02 03:04:05.000000", "updated_at": "2026-01-02 03:04:05.000000"}
            names, marks = ", ".join(old), ", ".join(f":{column}" for column in old)
            connection.execute(text(f"INSERT INTO experiments ({names}) VALUES ({marks})"), old)
    engine.dispose()
    migrate(settings)
    store = Store(settings.database)
    trials = {trial.id: trial for trial in store.trials("s")}
    assert {name: trial.stopped for name, trial in trials.items()} == {
        "t0": True,
        "t1": False,
        "t2": False,
        "t3": False,
    }
    assert {name: (trial.state, trial.error_type) for name, trial in trials.items()} == rows
    counted = {(each.state, each.stopped): each.number for each in store.sweeps.counts(["s"])}
    assert counted[State.CANCELLED, True] == counted[State.CANCELLED, False] == 1
    store.close()


def test_the_column_for_stopped_trials_goes_again(settings: Settings) -> None:
    """The way down to 0003 keeps the rows, and with their errors what the column said."""
    migrate(settings)
    store = Store(settings.database)
    store.create(new_row("e1"), new_tags={})
    store.close()
    command.downgrade(alembic_config(settings.database), "0003")
    engine = make_engine(settings.database)
    assert "stopped" not in {column["name"] for column in inspect(engine).get_columns("experiments")}
    with engine.connect() as connection:
        assert list(connection.scalars(text("SELECT id FROM experiments"))) == ["e1"]
    engine.dispose()


def test_an_absent_server_is_one_line_without_the_password(settings: Settings) -> None:
    """Nobody listens on port 1: the error names the setting and says why, in one line."""
    absent = settings.model_copy(update={"database_url": "postgresql://me:hunter2@127.0.0.1:1/rebalance"})
    with pytest.raises(StoreUnavailable, match=r"REBALANCE_DATABASE_URL: .*127\.0\.0\.1.*refused") as caught:
        migrate(absent)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "sqlalche" not in str(caught.value)


def test_an_unknown_schema_is_refused(settings: Settings) -> None:
    """A database that a newer version has migrated is left alone, and the error says so."""
    migrate(settings)
    engine = make_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreUnavailable, match=r"this version does not know.*9999"):
        migrate(settings)


def test_url_with_percent_signs(settings: Settings) -> None:
    """A directory or password with % in it is not taken for an interpolation."""
    odd = Settings(data_dir=settings.data_dir / "50%d")
    migrate(odd)
    assert (odd.data_dir / "rebalance.db").exists()
