"""The product on several hosts: Ray's head without CPUs, workers, Postgres, MLflow, services."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from service.client import RebalanceClient
from tests.deploy.hosts.network import Host, Network
from tests.e2e.instance import until
from tests.postgres import Programs, Server
from trainer.storage.layout import Storage

START_SECONDS = 240.0
_RAY_PORT, _JOBS_PORT, _MLFLOW_PORT, _API_PORT = 6379, 8265, 5000, 8000
_DATABASE = "hosts"
# Ray's own words for how soon a node that has fallen silent counts as dead: some 5 s, by default some 65.
SOON = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
_NOT_THEIRS = ("REBALANCE_", "MLFLOW_", "RAY_", "PG")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Deployment:
    """Its parts, as far as they were started."""

    def __init__(self, network: Network, *, ray_patience: Mapping[str, str], max_cluster: str) -> None:
        """Nothing runs yet.

        Args:
            network: its own; the directory that its hosts share has the storage.
            ray_patience: Ray's variables that say how long a silent node is waited for.
            max_cluster: what REBALANCE_MAX_CLUSTER declares; empty for nothing.
        """
        self.network = network
        self.storage = Storage.at(network.shared / "storage")
        self._token_file = network.directory / "ray_token"
        self._token_file.touch(mode=0o600)
        self._token_file.write_text(secrets.token_hex(32))
        self._patience = dict(ray_patience)
        self._declared = {"REBALANCE_MAX_CLUSTER": max_cluster} if max_cluster else {}
        self._token = ""
        self.postgres: Server
        self.database: Host
        self.head: Host
        self.mlflow: Host

    # ---------------------------------------------------------------- parts

    def start_postgres(self, programs: Programs) -> None:
        """On a host of its own."""
        host = self.database = self.network.add("pg")
        self.postgres = Server(programs, address=host.address, prefix=host.prefix)
        self.postgres.create(_DATABASE)

    def start_mlflow(self) -> None:
        """On a host of its own, with SQLite; see `wait`."""
        host = self.mlflow = self.network.add("mlflow")
        command = [sys.executable, "-m", "mlflow", "server", "--host", host.address, "--workers", "1"]
        command += ["--port", str(_MLFLOW_PORT), "--backend-store-uri", "sqlite:///mlflow.db"]
        command += ["--artifacts-destination", "./artifacts"]
        environment = self.environment(host, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
        host.start("mlflow", command, environment)

    def start_head(self, *, instead_of: Host | None = None) -> None:
        """Ray's head, which trains nothing; see `wait`."""
        host = self.head = self.network.add("head" if instead_of is None else "head2", instead_of=instead_of)
        options = {
            "port": _RAY_PORT,
            "dashboard-host": host.address,
            "dashboard-port": _JOBS_PORT,
            "node-ip-address": host.address,
            "num-cpus": 0,
            "num-gpus": 0,
            "object-store-memory": 80_000_000,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        self._start_ray(host, ["--head", *words])

    def start_worker(self, name: str, *, cpus: int = 1, instead_of: Host | None = None) -> Host:
        """A host that trains, on so many CPUs; its Ray is started again as often as it ends."""
        host = self.network.add(name, instead_of=instead_of)
        options = {
            "address": f"{self.head.address}:{_RAY_PORT}",
            "node-ip-address": host.address,
            "num-cpus": cpus,
            "num-gpus": 0,
            "object-store-memory": 80_000_000,
        }
        self._start_ray(host, [f"--{option}={value}" for option, value in options.items()])
        return host

    def start_service(self, name: str) -> Host:
        """A service on a host of its own; see `wait`."""
        host = self.network.add(name)
        environment = self.environment(
            host,
            REBALANCE_DATABASE_URL=self.postgres.network_url(_DATABASE),
            REBALANCE_STORAGE=str(self.storage.root),
            REBALANCE_RAY_ADDRESS=f"http://{self.head.address}:{_JOBS_PORT}",
            REBALANCE_MLFLOW_URI=f"http://{self.mlflow.address}:{_MLFLOW_PORT}",
            REBALANCE_JOB_PYTHON=sys.executable,
            REBALANCE_POLL_SECONDS="0.5",
            REBALANCE_REPORT_GRACE_SECONDS="2",
            REBALANCE_MAX_RUNNING="4",
            **self._declared,
        )
        program = [sys.executable, "-m", "service.cli"]
        if not self._token:
            host.run([*program, "migrate", "--wait", "60"], environment)
            self._token = host.run(
                [*program, "token", "create", "tests", "--scope", "admin"], environment
            ).strip()
        data = str(host.directory / "data")
        serve = [*program, "serve", "--host", "0.0.0.0", "--port", str(_API_PORT), "--data-dir", data]
        host.start("serve", serve, environment)
        return host

    def environment(self, host: Host, **more: str) -> dict[str, str]:
        """What programs on a host have, besides `more`: Ray's token, no proxy, directories of its own."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_NOT_THEIRS) and name.lower() not in _PROXIES
        }
        return {
            **inherited,
            "HOME": str(host.directory),
            "TMPDIR": str(host.temporary),
            "RAY_TMPDIR": str(host.temporary),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self._token_file),
            "RAY_USAGE_STATS_ENABLED": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **self._patience,
            **more,
        }

    # ---------------------------------------------------------------- as others see it

    def client(self, service: Host) -> RebalanceClient:
        """Asks the service on its own host: use it where this thread is `reached` there."""
        return RebalanceClient(f"http://127.0.0.1:{_API_PORT}", token=self._token)

    @contextlib.contextmanager
    def mlflow_http(self) -> Iterator[httpx.Client]:
        """Asks MLflow on its own host, with this thread."""
        uri = f"http://{self.mlflow.address}:{_MLFLOW_PORT}/api/2.0/mlflow"
        with self.mlflow.reached(), httpx.Client(base_url=uri, trust_env=False) as http:
            yield http

    def smoke(self, service: Host, script: Path) -> dict[str, Any]:
        """What deploy/smoke.sh measures, run where the service is."""
        command = ["sh", str(script), f"http://127.0.0.1:{_API_PORT}"]
        environment = self.environment(service, REBALANCE_TOKEN=self._token)
        found: dict[str, Any] = json.loads(service.run(command, environment, seconds=600))
        return found

    def wait(self, service: Host, *, cpus: int) -> None:
        """Returns once the service says that all is well, and so many CPUs are there to train on."""
        until(lambda: self._is_well(service), seconds=START_SECONDS, what=f"{service.name} is ready")
        until(lambda: self.cpus() >= cpus, seconds=START_SECONDS, what=f"{cpus} CPUs")

    def cpus(self) -> int:
        """Of the nodes that Ray takes for alive; 0 while its head does not answer."""
        return int(sum(node["resources_total"].get("CPU", 0) for node in self.nodes()))

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that Ray takes for alive, by its state API."""
        url = f"http://{self.head.address}:{_JOBS_PORT}/api/v0/nodes?detail=true&limit=10000"
        token = {"Authorization": f"Bearer {self._token_file.read_text()}"}
        try:
            with self.head.reached():
                answer = httpx.get(url, headers=token, trust_env=False, timeout=10)
            found: list[dict[str, Any]] = answer.json()["data"]["result"]["result"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError, OSError):
            return []
        return [node for node in found if node["state"] == "ALIVE"]

    def _is_well(self, service: Host) -> bool:
        with service.reached(), self.client(service) as client:
            try:
                return client.ready().status == "ok"
            except Exception as error:  # noqa: BLE001 - whatever it is: not yet
                del error
                return False

    def _start_ray(self, host: Host, words: list[str]) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words]
        host.start("ray", command, self.environment(host, RAY_JOB_STOP_WAIT_TIME_S="10"), restarted=True)
