"""Stand-in servers, a real API over a fake cluster, and a way to wait that has a limit."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.api.app import create_app
from service.local.api_server import ApiServer
from service.local.data_dir import DataDir, bind, url_of, write_endpoints
from service.local.processes import Program
from service.migrations import migrate
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.endpoints import Endpoints
from service.shared.settings import Settings
from service.shared.tokens import new_secret
from service.store.experiments import Store
from service.store.records import Followup
from tests.fakes import FakeBackend

LIMIT_SECONDS = 20.0

# Says that it is up by a file named in its arguments, then sleeps until it is told to end.
SERVER = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
# Leaves a child in a session of its own and one with an empty environment behind.
FAMILY = """
import pathlib, subprocess, sys, time
sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
apart = subprocess.Popen(sleep, start_new_session=True)
unmarked = subprocess.Popen(sleep, env={})
pathlib.Path(sys.argv[1]).write_text(f"{apart.pid} {unmarked.pid}")
time.sleep(600)
"""


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`; fails when there is none within the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "not within the limit"
        threading.Event().wait(0.01)
    return value


@dataclass
class Lines:
    """Notices, remembered."""

    lines: list[str] = field(default_factory=list)

    def waiting(self, names: tuple[str, ...]) -> None:
        pass

    def line(self, text: str) -> None:
        self.lines.append(text)


def program(directory: Path, name: str = "server", code: str = SERVER, **changes: Any) -> Program:
    """A command that is healthy once it has written its file."""
    up = directory / f"{name}.up"
    fields: dict[str, Any] = {
        "name": name,
        "argv": (sys.executable, "-S", "-c", code, str(up)),
        "environment": {},
        "log": directory / "logs" / f"{name}.log",
        "directory": directory,
        "healthy": lambda: up.exists() and bool(up.read_text() or code == SERVER),
        "limit_seconds": LIMIT_SECONDS,
        "details": {"ports": [1]},
    }
    return Program(**(fields | changes))


@dataclass
class Service:
    """An API that answers, and the cluster behind it."""

    url: str
    directory: Path
    backend: FakeBackend
    settings: Settings


@contextmanager
def serving(directory: Path, **changes: Any) -> Iterator[Service]:
    """The real application under uvicorn, over a fake cluster that is ready but starts nothing."""
    settings = Settings(data_dir=directory, poll_seconds=3600, max_running=1000, **changes)
    migrate(settings)
    backend, probe = FakeBackend(), new_secret()
    bound: socket.socket = bind("127.0.0.1", 0)
    app = create_app(settings, backend, probe=probe)
    server = ApiServer(app, bound, directory / "service.log", probe=probe)
    server.start()
    server.wait(threading.Event(), LIMIT_SECONDS)
    write_endpoints(DataDir(directory), Endpoints(url_of(bound), "http://mlflow", "http://ray"))
    try:
        yield Service(url_of(bound), directory, backend, settings)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An open service."""
    with serving(tmp_path_factory.mktemp("data")) as served:
        yield served


def ended_followup(service: Service, identifier: str, work: Callable[[Followup], None]) -> None:
    """What the job leaves is left by `work`, and the reconciler passes until the row has ended."""
    store = Store(service.settings.database)
    reconciler = Reconciler(store, service.backend, service.settings, runs=None)
    work(store.followups.get(identifier))

    def ended() -> bool:
        reconciler.run_once(utc_now())
        return store.followups.get(identifier).state.ended

    until(ended)
    store.close()
