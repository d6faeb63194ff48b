"""A service in miniature: a migrated database, a fake cluster, and the reconciler run by hand."""

from __future__ import annotations

import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from service.api.app import create_app
from service.migrations import migrate
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.token_schemas import TokenCreate, TokenCreated
from service.store.experiments import Store
from service.store.new_rows import new_experiment
from service.store.records import Experiment
from tests.data_factories import make_report, make_spec
from tests.fakes import FakeBackend, FakeRuns
from tests.postgres import Server
from tests.unit.service.served import service  # noqa: F401 - a fixture
from tests.unit.service.sweep_job import SweepJob
from trainer.results.report import AttemptError, AttemptReport, write_report
from trainer.spec.spec import ExperimentSpec

with warnings.catch_warnings():
    # The test client would like httpx's successor; ours is the client that users get.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def new_row(identifier: str, spec: ExperimentSpec | None = None, **changes: Any) -> Experiment:
    """A queued experiment that is not stored yet, and waits since it was made."""
    changes = {"queued_at": changes.get("created_at", START), **changes}
    return replace(new_experiment(identifier, spec or make_spec(), START), **changes)


def failed_report(
    identifier: str, *, attempt: int = 1, retryable: bool = False, kind: str = "DataError"
) -> AttemptReport:
    """A report with an error instead of a result."""
    error = AttemptError(type=kind, message="label 77 in 3 pictures", retryable=retryable)
    return make_report(identifier).model_copy(
        update={"state": "failed", "result": None, "error": error, "attempt": attempt}
    )


def make_token(
    settings: Settings, scope: Literal["viewer", "user", "admin"] = "admin", **asked: Any
) -> TokenCreated:
    """A token of the database that the settings name, as its operator makes it."""
    with closing(Store(settings.database)) as store:
        return store.tokens.create(TokenCreate(name=f"a-{scope}", scope=scope, **asked), now=utc_now())


def bearer(secret: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {secret}"}


@dataclass
class World:
    """Everything one test touches, and a clock that only the test moves."""

    settings: Settings
    store: Store
    backend: FakeBackend = field(default_factory=FakeBackend)
    runs: FakeRuns = field(default_factory=FakeRuns)
    now: datetime = START

    def __post_init__(self) -> None:
        self.reconciler = Reconciler(self.store, self.backend, self.settings, runs=self.runs)

    def add(self, identifier: str = "e1", **changes: Any) -> Experiment:
        return self.store.create(new_row(identifier, **changes), new_tags={})

    def step(self, seconds: float = 1.0) -> None:
        """Time passes, then the reconciler has one pass."""
        self.now += timedelta(seconds=seconds)
        self.reconciler.run_once(self.now)

    def state(self, identifier: str = "e1") -> State:
        return self.store.get(identifier).state

    def reasons(self, identifier: str = "e1") -> list[str]:
        return [event.reason for event in self.store.history(identifier, after=0, limit=100)[0]]

    def path_of(self, identifier: str = "e1", attempt: int = 1) -> Path:
        return self.settings.layout.attempt(identifier, attempt).path

    def leave_report(self, report: AttemptReport) -> None:
        """What the job writes at its end."""
        write_report(report, self.settings.layout.attempt(report.experiment, report.attempt).report)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database the test stores in; the store's own tests run on both."""
    return str(request.config.getoption("database"))


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Settings:
    """Settings whose database is in no known state: see `migrated` and `blank`."""
    url = request.getfixturevalue("migrated_postgres") if database == "postgres" else None
    return Settings(data_dir=tmp_path / "data", database_url=url, poll_seconds=3600, report_grace_seconds=5)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a migrated database: migrating costs more than most tests, and so does making one."""
    url = postgres.create("migrated")
    migrate(Settings(data_dir=tmp_path_factory.mktemp("postgres"), database_url=url))
    return url


@pytest.fixture
def blank(request: pytest.FixtureRequest, settings: Settings, database: str) -> Iterator[Settings]:
    """Settings with a database in which nothing is yet, not even a table."""
    if database == "sqlite":
        yield settings
        return
    server: Server = request.getfixturevalue("postgres")
    yield settings.model_copy(update={"database_url": server.create("blank")})
    server.drop("blank")


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy: migrating costs more than most tests."""
    directory = tmp_path_factory.mktemp("database")
    migrate(Settings(data_dir=directory))
    return directory / "rebalance.db"


@pytest.fixture
def migrated(request: pytest.FixtureRequest, settings: Settings, database: str) -> Settings:
    """The settings, their database ready and without a row."""
    settings.data_dir.mkdir(parents=True)
    if database == "postgres":
        request.getfixturevalue("postgres").empty("migrated")
    else:
        shutil.copy(request.getfixturevalue("new_database"), settings.data_dir)
    return settings


@pytest.fixture
def world(migrated: Settings) -> Iterator[World]:
    settings = migrated
    store = Store(settings.database)
    yield World(settings, store)
    store.close()


@pytest.fixture
def backend() -> FakeBackend:
    """Down, so that what a test stores stays queued until the test says otherwise."""
    fake = FakeBackend()
    fake.down = True
    return fake


@pytest.fixture
def app(migrated: Settings, backend: FakeBackend) -> FastAPI:
    return create_app(migrated, backend)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as opened:
        yield opened


class Cluster:
    """A reconciler run by hand beside the application, whose own is asleep: its cluster is down."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings.database)
        self.backend = FakeBackend()
        self.reconciler = Reconciler(self.store, self.backend, settings)
        self.settings = settings

    def job(self, sweep: str) -> SweepJob:
        """The sweep's job, running."""
        self.step()
        self.backend.run(f"{sweep}-1")
        self.step()
        return SweepJob.of(self.settings.layout, self.store.sweeps.get(sweep))

    def step(self) -> None:
        self.reconciler.run_once(utc_now())


@pytest.fixture
def cluster(client: TestClient, migrated: Settings) -> Iterator[Cluster]:
    made = Cluster(migrated)
    yield made
    made.store.close()


@contextmanager
def statements() -> Iterator[list[str]]:
    """What databases are asked within the block, by any thread."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def until(condition: Callable[[], bool], *, limit_seconds: float = 20.0) -> None:
    """Returns once `condition` holds; fails when it does not within the limit."""
    pause, end = threading.Event(), time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < end, f"not within {limit_seconds} s"
        pause.wait(0.01)
