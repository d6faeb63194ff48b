"""The servers an embedded instance runs beside the API: their commands, and how to see that they work."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.local.data_dir import DataDir, free_ports
from service.local.processes import Program
from trainer.base.files import write_atomically

RAY = "ray"
MLFLOW = "mlflow"
START_LIMIT = 180.0  # seconds; the first start after an installation also compiles thousands of files
_PROBE_SECONDS = 2.0
_SHORT_ENOUGH = 30  # characters of a directory: Ray's sockets below it are limited to 107 bytes in all
_RAY_PORTS = (
    "--port",
    "--dashboard-port",
    "--ray-client-server-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
)
# What only the API may know: jobs inherit Ray's environment.
_NOT_THEIRS: dict[str, str | None] = {
    "REBALANCE_DATABASE_URL": None,
    "REBALANCE_DATABASE_URL_FILE": None,
    "PGPASSWORD": None,
    "PGPASSFILE": None,
    "REBALANCE_TOKEN": None,
}
_RAY_PORT_VARIABLES = ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")


def answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether a GET of `url` gives 200. Goes straight to the host: no proxy leads to ourselves."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", parts.path or "/", headers=dict(headers or {}))
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ray_program(directory: DataDir, details: Mapping[str, Any] | None = None) -> Program:
    """A local Ray head. `details` of an earlier start give the same ports and temporary directory again."""
    previous = details or {}
    count = len(_RAY_PORTS) + len(_RAY_PORT_VARIABLES)
    ports = tuple(previous.get("ports", ())) or free_ports(count)
    temporary = str(previous.get("temp_dir") or _short_directory())
    environment: dict[str, str | None] = {
        **ray_client_environment(directory),
        **_NOT_THEIRS,
        "RAY_ADDRESS": None,  # of another cluster, should the person have one
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # there is no other node to move work to
        "RAY_JOB_STOP_WAIT_TIME_S": "10",  # for a cancelled job's report; the default of 3 s may be too short
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
    for variable, port in zip(_RAY_PORT_VARIABLES, ports[len(_RAY_PORTS) :], strict=True):
        environment[variable] = str(port)
    argv = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    argv += ["--node-ip-address", "127.0.0.1", "--include-dashboard", "true", "--temp-dir", temporary]
    for option, port in zip(_RAY_PORTS, ports, strict=False):
        argv += [option, str(port)]
    jobs, agent = f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[3]}"

    def healthy() -> bool:
        """The agent starts last: a job submitted before it is up waits or fails."""
        headers = {"Authorization": f"Bearer {directory.ray_token.read_text(encoding='utf-8')}"}
        agent_ready = answers(f"{agent}/api/local_raylet_healthz", headers)
        return agent_ready and answers(f"{jobs}/api/version", headers)

    return Program(
        name=RAY,
        argv=tuple(argv),
        environment=environment,
        log=directory.logs / "ray.log",
        directory=directory.path,
        healthy=healthy,
        limit_seconds=START_LIMIT,
        details={"url": jobs, "ports": list(ports), "temp_dir": temporary},
    )


def _short_directory() -> str:
    base = tempfile.gettempdir()
    if len(base) > _SHORT_ENOUGH and os.access("/tmp", os.W_OK):
        base = "/tmp"
    path = Path(base) / f"rr-{secrets.token_hex(4)}"
    path.mkdir(mode=0o700)
    return str(path)


def ray_client_environment(directory: DataDir) -> dict[str, str | None]:
    """What a client of the embedded Ray needs. Its ports listen on every interface, hence the token."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(directory.ray_token), "RAY_AUTH_TOKEN": None}


def write_ray_token(directory: DataDir) -> None:
    """Makes the token that clients of Ray must show, where there is none yet; readable by its owner alone."""
    if directory.ray_token.exists():
        return
    write_atomically(directory.ray_token, secrets.token_hex(32), mode=0o600)


def remove_leftovers(details: Mapping[str, Any]) -> None:
    """Removes a stopped Ray's temporary directory."""
    temporary = details.get("temp_dir")
    if isinstance(temporary, str) and Path(temporary).name.startswith("rr-"):
        shutil.rmtree(temporary, ignore_errors=True)


def mlflow_program(directory: DataDir, details: Mapping[str, Any] | None = None) -> Program:
    """An MLflow server: runs in SQLite, artifacts in a directory, given out by the server."""
    previous = details or {}
    (port,) = tuple(previous.get("ports", ())) or free_ports(1)
    directory.mlflow.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--workers", "1"]  # SQLite has one writer at a time, and each worker costs 300 MB
    # From its own directory: whatever the data directory is called, it is not part of an address.
    argv += ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"]
    return Program(
        name=MLFLOW,
        argv=tuple(argv),
        environment={
            **_NOT_THEIRS,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for features nobody here uses
        },
        log=directory.logs / "mlflow.log",
        directory=directory.mlflow,
        healthy=lambda: answers(f"{url}/health"),
        limit_seconds=START_LIMIT,
        details={"url": url, "ports": [port]},
    )
