"""What is disturbed: two services on one Postgres and one storage, the first with Ray and MLflow below it."""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from service.client import RebalanceClient
from service.client.http import ApiError, ApiUnreachable
from service.local.data_dir import DataDir, read_processes
from service.local.processes import family
from service.store.leadership import LEASE_SECONDS
from tests.e2e.instance import Instance, until
from tests.postgres import Programs, Server
from trainer.storage.layout import Storage

ANSWER_SECONDS = 300.0
_DATABASE = "campaign"
_TRIAL = "ray::WarmWorker.run"
_WORKERS = "ray::WorkerActor", "ray::RayTrainWorker", "ray::_RayTrainWorker", _TRIAL
_SETTINGS = {
    "REBALANCE_POLL_SECONDS": "0.5",
    "REBALANCE_REPORT_GRACE_SECONDS": "2",
    "REBALANCE_MAX_RUNNING": "3",
    "REBALANCE_MAX_ATTEMPTS": "20",  # it is counted who is lost, not how often one may be hit
}
Answer = TypeVar("Answer")


class Lab:
    """Starts everything; some 20 s. Close it at the end."""

    def __init__(self, programs: Programs, directory: Path, *, services: int = 2) -> None:
        """`services` on the one database; `directory` is empty, and takes all that is written."""
        self.postgres = Server(programs)
        self.services: list[Instance] = []
        try:
            self._settings = {**_SETTINGS, "REBALANCE_DATABASE_URL": self._database()}
            for number in range(services):
                self._add_service(directory / f"service{number}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends all of it, the last started first."""
        codes = [service.stop() for service in reversed(self.services)]
        self.postgres.close()
        assert not any(codes), f"services ended with {codes}"

    def _database(self) -> str:
        """Its commits outlive the server, which is killed: the tests' servers need not promise that."""
        url = self.postgres.create(_DATABASE)
        self.postgres.run(f"ALTER DATABASE {_DATABASE} SET synchronous_commit = on")
        return url

    def _add_service(self, directory: Path) -> None:
        environment = dict(self._settings)
        if self.services:
            first = self.services[0]
            environment |= {
                "REBALANCE_STORAGE": str(self.storage.root),
                "REBALANCE_RAY_ADDRESS": first.endpoints.ray,
                "REBALANCE_MLFLOW_URI": first.endpoints.mlflow,
                "REBALANCE_JOB_PYTHON": sys.executable,
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": first.ray_environment()["RAY_AUTH_TOKEN_PATH"],
            }
        directory.mkdir()
        service = Instance(directory / "data", environment=environment)
        self.services.append(service)
        service.start()

    # ---------------------------------------------------------------- as people see it

    @property
    def storage(self) -> Storage:
        return Storage.at(self.services[0].data_dir / "storage")

    def ask(self, question: Callable[[RebalanceClient], Answer]) -> Answer:
        """What the first service answers that does, as somebody gets it who tries again.

        What was asked may be asked twice, so a POST needs an Idempotency-Key.
        """

        def answer() -> list[Answer] | None:
            for service in self.services:
                with suppress(ApiUnreachable), service.client() as client:
                    try:
                        return [question(client)]
                    except ApiError as error:
                        if error.status != httpx.codes.SERVICE_UNAVAILABLE:
                            raise
            return None

        return until(answer, seconds=ANSWER_SECONDS, what="a service answers")[0]

    def post(self, document: dict[str, Any]) -> str:
        """The id of an experiment that was accepted."""
        key = secrets.token_hex(8)
        return self.ask(lambda client: client.submit(document, idempotency_key=key)).id

    def post_sweep(self, document: dict[str, Any]) -> str:
        """The id of a sweep that was accepted."""
        key = secrets.token_hex(8)
        return self.ask(lambda client: client.submit_sweep(document, idempotency_key=key)).id

    def mlflow_http(self) -> httpx.Client:
        """Asks MLflow itself."""
        uri = f"{self.services[0].endpoints.mlflow}/api/2.0/mlflow"
        return httpx.Client(base_url=uri, trust_env=False, timeout=30)

    def whole(self) -> None:
        """Waits until every service says that all is well."""
        for service in self.services:
            until(lambda one=service: _is_well(one), seconds=ANSWER_SECONDS, what="all is well")

    # ---------------------------------------------------------------- as faults find it

    def leader(self) -> Instance | None:
        """The service that holds the lease, if one does."""
        held = "SELECT holder FROM leases WHERE expires_at > clock_timestamp()"
        pids = {int(str(holder).split()[1]) for (holder,) in self.postgres.run(held, database=_DATABASE)}
        return next((one for one in self.services if one.pid in pids), None)

    def part(self, name: str) -> list[psutil.Process]:
        """All processes of `ray` (jobs and workers too) or `mlflow`."""
        token, _ = read_processes(DataDir(self.services[0].data_dir))
        return family(token, name) if token is not None else []

    def jobs(self) -> list[psutil.Process]:
        """The processes that Ray's jobs are, those of sweeps too."""
        return _titled(self.part("ray"), "-m trainer.job", "-m sweeps.job")

    def drivers(self) -> list[psutil.Process]:
        """Those of them that run sweeps."""
        return _titled(self.part("ray"), "-m sweeps.job")

    def trials(self) -> list[psutil.Process]:
        """The processes in which a sweep's trials train just now."""
        return _titled(self.part("ray"), _TRIAL)

    def workers(self) -> list[psutil.Process]:
        """The processes that train."""
        return _titled(self.part("ray"), *_WORKERS)

    def cut_connections(self) -> None:
        """Ends every service's sessions with the database."""
        self.postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{_DATABASE}' AND pid <> pg_backend_pid()",
            database=_DATABASE,
        )

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        ((number,),) = self.postgres.run(f"SELECT count(*) FROM {table}", database=_DATABASE)
        return int(str(number))


def beyond_the_lease(draw: float) -> float:
    """Seconds in which a leader that stands still is followed; `draw` is from 0 to 1."""
    return LEASE_SECONDS + 1 + 4 * draw


def let_pass(seconds: float) -> None:
    """Nothing is waited for: so long a fault shall last."""
    threading.Event().wait(seconds)


def _is_well(service: Instance) -> bool:
    try:
        with service.client() as client:
            return client.ready().status == "ok"
    except (ApiError, ApiUnreachable):
        return False


def _titled(processes: Iterable[psutil.Process], *words: str) -> list[psutil.Process]:
    return [one for one in processes if any(word in _title(one) for word in words)]


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
