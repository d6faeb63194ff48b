"""The service on Postgres: in short what test_main_job.py shows on SQLite. Real Ray, MLflow and Postgres."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from service.local.data_dir import DataDir, read_processes
from service.local.processes import family
from tests.e2e.instance import Instance
from tests.e2e.test_main_job import post, wait
from tests.postgres import Server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, postgres: Server) -> Iterator[Instance]:
    """An instance whose database asks for a password."""
    postgres.create("served")
    url = postgres.url("served", user="service", password=postgres.password)
    directory = tmp_path_factory.mktemp("instance") / "data"
    running = Instance(directory, environment={"REBALANCE_DATABASE_URL": url})
    try:
        running.start()
        yield running
    finally:
        code = running.stop()
        postgres.drop("served")
    assert code == 0


def test_two_experiments_and_a_restart(instance: Instance) -> None:
    """Both complete, one while the service is killed and started again; they compare, with their history."""
    first = post(instance, tags={"Team": "λ"})
    instance.kill()
    instance.start()
    second = post(instance, method={"kind": "region_rebalance", "lambda": 0.3})
    for identifier in (first, second):
        ended = wait(instance, identifier)
        assert ended.state == "completed", ended.error
        assert ended.attempt == 1
    with instance.client() as client:
        assert [row.delta_mIoU is None for row in client.compare([first, second]).rows] == [False, False]
        assert [each.to_state for each in client.events(first)][-1] == "completed"
        assert [each.id for each in client.experiments(tag=["Team:λ"])] == [first]
    assert not (instance.data_dir / "rebalance.db").exists()


def test_the_password_is_nowhere(instance: Instance, postgres: Server) -> None:
    """Not in a log or file, not in an argument of any process; in the environment of `serve` alone."""
    files = [path for path in instance.data_dir.parent.rglob("*") if path.is_file()]
    assert {"service.log", "serve.log", "endpoints.json", "ray.log"} <= {path.name for path in files}
    assert [path for path in files if postgres.password.encode() in path.read_bytes()] == []
    token, _ = read_processes(DataDir(instance.data_dir))
    assert token is not None
    servers = family(token)
    assert len(servers) > 2
    for process in servers:
        assert postgres.password not in repr(_environment(process))
    for process in psutil.process_iter():
        assert postgres.password not in repr(_arguments(process))


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except psutil.Error:
        return {}


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
