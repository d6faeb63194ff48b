"""docker-compose.yml as it is shipped, up in an engine of our own, and what tests do to it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from service.client import RebalanceClient
from tests.deploy.containers.engine import Engine
from tests.deploy.hosts.work import Work
from tests.e2e.instance import until
from tests.paths import ROOT
from trainer.storage.layout import Storage

UP_SECONDS = 420.0
PROJECT = "rebalance-test"
FILES = ("docker-compose.yml", "tests/deploy/containers/compose.local.yml")
MLFLOW_ADMIN = "admin"
_TRAINS = "RayTrainWorker"
_COUNT_NODES = """
import json, os, urllib.request
token = open(os.environ["RAY_AUTH_TOKEN_PATH"]).read().strip()
url = "http://127.0.0.1:8265/api/v0/nodes?detail=true"
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
nodes = json.load(urllib.request.urlopen(request, timeout=9))["data"]["result"]["result"]
print(sum(node["state"] == "ALIVE" and node["resources_total"].get("CPU", 0) > 0 for node in nodes))
"""


class Here:
    """The machine that asks; hosts of their own are another kind."""

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Nothing has to be entered: the proxy is published on loopback."""
        yield


class Stack:
    """One project with its secrets. `up` first, `down` last."""

    def __init__(self, engine: Engine, folder: Path, *, workers: int = 2) -> None:
        """Makes the secrets as a user does, in `folder`: `make secrets`."""
        self.engine = engine
        self.workers = workers
        self.folder = folder
        subprocess.run(["sh", ROOT / "scripts" / "secrets.sh", self.folder], check=True, capture_output=True)
        self._ports = _free_ports(2)
        self._token = ""

    # ---------------------------------------------------------------- as a user does it

    def compose(
        self, *arguments: str, seconds: float = 120.0, check: bool = True, overlay: str = "", **extra: str
    ) -> str:
        """What `docker compose …` printed; with an overlay on top, and more variables."""
        named = [*FILES, *([overlay] if overlay else [])]
        files = [word for name in named for word in ("--file", str(ROOT / name))]
        return self.engine.docker(
            *("compose", "--project-name", PROJECT, "--project-directory", str(ROOT)),
            *("--env-file", str(self.folder / ".env"), *files, *arguments),
            seconds=seconds,
            check=check,
            REBALANCE_PORT=str(self._ports[0]),
            MLFLOW_PORT=str(self._ports[1]),
            RAY_WORKER_CPUS="1",
            REBALANCE_MAX_RUNNING="4",
            REBALANCE_MAX_CLUSTER=f"cpus={self.workers}",
            **extra,
        )

    def up(self, **more: str) -> float:
        """`up --wait`; seconds that it took. The images are there: nothing is built or asked for."""
        began = time.monotonic()
        words = ("up", "--wait", "--no-build", "--pull", "never", "--scale", f"ray-worker={self.workers}")
        self.compose(*words, seconds=UP_SECONDS, **more)
        return time.monotonic() - began

    def down(self) -> None:
        """With the volumes."""
        self.compose("down", "--volumes", "--timeout", "20", seconds=180.0)

    def make_token(self) -> str:
        """`exec service rebalance token create`: the first one, while the service runs."""
        made = self.compose(
            "exec", "-T", "service", "rebalance", "token", "create", "tests", "--scope", "admin"
        )
        self._token = made.strip()
        return self._token

    @property
    def url(self) -> str:
        """Of the API, through the proxy."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[1]}"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").strip()

    def secrets(self) -> dict[str, str]:
        """Every secret there is, also the parts of those that have a form, by name."""
        keys = json.loads(self.secret("s3_identities"))["identities"][0]["credentials"][0]
        whole = {
            name: self.secret(name)
            for name in ("postgres_password", "database_password", "mlflow_database_password", "ray_token")
        }
        whole |= {name: self.secret(name) for name in ("mlflow_admin_password", "mlflow_session_key")}
        return whole | {"s3_access_key": keys["accessKey"], "s3_key": keys["secretKey"], "token": self._token}

    # ---------------------------------------------------------------- containers

    def containers(self, service: str = "", *, gone: bool = False) -> list[str]:
        """Ids, of one service or of all, in the order of their numbers; those that ended only with `gone`."""
        every = ("--all",) if gone else ()
        filters = [f"label=com.docker.compose.project={PROJECT}"]
        filters += [f"label=com.docker.compose.service={service}"] if service else []
        words = [word for each in filters for word in ("--filter", each)]
        listed = self.engine.docker("ps", *every, *words, "--format", "{{.Names}} {{.ID}}").splitlines()
        return [line.split()[1] for line in sorted(listed)]

    def crash(self, container: str) -> None:
        """Kills all that runs in it with SIGKILL, from inside, as the system does when memory is short.

        `docker kill` would be somebody's wish, after which nothing is started again.
        """
        before = self.started_at(container)
        self.engine.docker("exec", container, "sh", "-c", "kill -KILL -1", check=False)
        until(lambda: self.started_at(container) != before, seconds=60, what="it was started again")

    def started_at(self, container: str) -> str:
        return self.engine.docker("inspect", "--format", "{{.State.StartedAt}}", container).strip()

    def processes(self, container: str) -> list[str]:
        """Their command lines."""
        lines = self.engine.docker("top", container, "-eo", "pid,args").splitlines()[1:]
        return [line.split(None, 1)[1] for line in lines]

    # ---------------------------------------------------------------- as a deployment, see hosts/

    @property
    def storage(self) -> Storage:
        """The volume of run directories, as it lies in the engine's directory."""
        volume = self.engine.docker(
            "volume", "inspect", "--format", "{{.Mountpoint}}", f"{PROJECT}_runs"
        ).strip()
        return Storage.at(volume)

    def client(self, service: object = None, *, token: str | None = None) -> RebalanceClient:
        """Through the proxy, whoever is asked."""
        del service
        return RebalanceClient(self.url, token=self._token if token is None else token)

    def mlflow_http(self) -> httpx.Client:
        """Asks MLflow through the proxy, as its administrator."""
        return httpx.Client(
            base_url=f"{self.mlflow_url}/api/2.0/mlflow",
            auth=(MLFLOW_ADMIN, self.secret("mlflow_admin_password")),
            trust_env=False,
            timeout=30,
        )

    def whole(self) -> None:
        """Waits until all is well, and every worker has joined."""
        until(self._is_well, seconds=UP_SECONDS, what="the service and all workers are there")

    def _is_well(self) -> bool:
        try:
            with self.client() as client:
                return client.ready().status == "ok" and self.nodes() == self.workers
        except Exception as error:  # noqa: BLE001 - whatever it is: not yet
            del error
            return False

    def nodes(self) -> int:
        """How many nodes with CPUs Ray takes for alive; 0 while its head does not answer."""
        for head in self.containers("ray-head"):
            told = self.engine.docker("exec", head, "python", "-c", _COUNT_NODES, check=False).strip()
            if told.isdigit():
                return int(told)
        return 0


class ContainerWork(Work):
    """An experiment on a stack."""

    def __init__(self, stack: Stack, spec: dict[str, Any]) -> None:
        self.stack = stack
        super().__init__(stack, Here(), spec)

    def trains_on(self) -> list[str]:  # type: ignore[override]
        """The containers that have its workers, where nothing else trains."""
        workers = self.stack.containers("ray-worker")
        return [each for each in workers if any(_TRAINS in line for line in self.stack.processes(each))]


def read_inspected(engine: Engine, containers: list[str]) -> list[dict[str, Any]]:
    """What `docker inspect` says of them."""
    found: list[dict[str, Any]] = json.loads(engine.docker("inspect", *containers))
    return found


def _free_ports(count: int) -> list[int]:
    """Nobody listens on them now."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
