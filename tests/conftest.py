"""Fixtures of all tests: a clean environment, the shared data, no process left behind."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.paths import ROOT
from tests.postgres import NoPostgres, Server, find_programs

_SHARED = Path(os.environ.get("REBALANCE_SHARED") or ROOT.parent / "shared")
_MARK = "REGION_REBALANCE_TEST_RUN"  # inherited by every process the tests start
_STOP_SECONDS = 20

# What the machine's owner has set must not decide a test; set before any test module is imported.
for _name in [name for name in os.environ if name.startswith(("REBALANCE_", "MLFLOW_", "RAY_"))]:
    del os.environ[_name]
os.environ |= {
    "REBALANCE_TOKEN": "",  # none, whatever lies in the home directory
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    _MARK: uuid.uuid4().hex,
}

# A shell's background job ignores Ctrl-C, and so would every process that it starts: some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: examples are not timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres", metavar="DIR", help="programs of a Postgres to test with, or `wheel`; else found"
    )
    parser.addoption(
        "--database",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="what the service's tests store in, but for those that run on both",
    )


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector need not walk it again for each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _log_level_as_found() -> Iterator[None]:
    """What a started service logs from (INFO) is not what the next test of this process logs from."""
    root = logging.getLogger()
    found = root.level
    yield
    root.setLevel(found)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Says which Postgres the tests had, and why that one."""
    try:
        terminalreporter.write_line(f"{find_programs(config.getoption('postgres'))}")
    except NoPostgres as missing:
        terminalreporter.write_line(f"{missing}")


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A private Postgres, started by the first test that asks for it; skips where there is none."""
    try:
        server = Server(find_programs(request.config.getoption("postgres")))
    except NoPostgres as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real data sets; skips where there is none."""
    data = _SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"no data sets at {data}: set REBALANCE_SHARED to the directory above `data`")
    return data.resolve()


@pytest.fixture(scope="session")
def camvid(shared_data: Path) -> Path:
    """CamVid as a folder data set; skips where it is missing."""
    root = shared_data / "camvid"
    if not (root / "classes.txt").is_file():
        pytest.skip(f"CamVid is not in {shared_data}")
    return root


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch with one thread: sums come out the same on every machine of a kind."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests in tests/unit may not open a connection to another host."""
    if "unit" not in request.path.relative_to(ROOT / "tests").parts:
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = str(address[0]) if isinstance(address, tuple) else "localhost"
        if host not in {"127.0.0.1", "::1", "localhost"}:
            pytest.fail(f"a unit test opened a connection to {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _ours() -> set[psutil.Process]:
    """Processes of this machine that these tests started, this one and its ancestors left out."""
    me = psutil.Process()
    skipped = {me.pid, *(parent.pid for parent in me.parents())}
    found = set()
    for process in psutil.process_iter():
        if process.pid in skipped:
            continue
        try:
            if process.environ().get(_MARK) == os.environ[_MARK]:
                found.add(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)


@pytest.fixture(scope="module", autouse=True)
def _no_process_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module outside tests/unit ends with the processes it began with; strays are stopped and fail it."""
    if "unit" in request.path.relative_to(ROOT / "tests").parts:
        yield
        return
    before = _ours()
    yield
    _, alive = psutil.wait_procs(_ours() - before, timeout=_STOP_SECONDS)
    strays = [_describe(process) for process in alive]
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if strays:
        pytest.fail("processes left behind by this module:\n" + "\n".join(strays))
