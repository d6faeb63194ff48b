"""A Ray of two nodes on this machine: a head without CPUs, and a worker that alone sees some directory."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.contract.test_backend import free_ports

ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
WORKER_CPUS = 2
_PORTS = (
    "dashboard-agent-listen-port",
    "metrics-export-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
)
_HEAD_PORTS = ("port", "dashboard-port", "ray-client-server-port", *_PORTS)


def why_not() -> str | None:
    """Why the worker cannot be given a mount of its own here; None where it can."""
    try:
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "no unshare here"
    return f"no mount namespace here: {done.stderr.strip()}" if done.returncode else None


@contextmanager
def two_nodes(empty: Path, content: Path) -> Iterator[str]:
    """The cluster's address. On the worker the directory `empty` is `content`; nowhere else it is.

    Both nodes have 127.0.0.1's host, and addresses of their own on it.
    """
    with tempfile.TemporaryDirectory(prefix="rr2", dir="/tmp") as directory:
        ports = free_ports(len(_HEAD_PORTS))
        address = f"127.0.0.1:{ports[0]}"
        head = [f"--{name}={port}" for name, port in zip(_HEAD_PORTS, ports, strict=True)]
        head += ["--head", "--num-cpus=0", f"--temp-dir={directory}/ray", "--node-ip-address=127.0.0.1"]
        worker = [f"--{name}={port}" for name, port in zip(_PORTS, free_ports(len(_PORTS)), strict=True)]
        worker += [f"--address={address}", f"--num-cpus={WORKER_CPUS}", "--node-ip-address=127.0.0.2"]
        mount = f"mount --bind {shlex.quote(str(content))} {shlex.quote(str(empty))}"
        started = []
        try:
            started.append(_start(head, Path(directory, "head.txt")))
            _wait_for(address, 1)
            apart = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
            started.append(_start(worker, Path(directory, "worker.txt"), apart))
            _wait_for(address, 2)
            yield address
        finally:
            for process in reversed(started):
                _stop(process)


def _start(options: list[str], out: Path, apart: list[str] | None = None) -> subprocess.Popen[bytes]:
    command = [*(apart or ()), sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    command += ["--num-gpus=0", "--object-store-memory=80000000", *options]
    with out.open("wb") as stream:
        return subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | ENVIRONMENT,
        )


def _wait_for(address: str, nodes: int) -> None:
    """Returns once so many nodes are alive, as a driver of its own sees them."""
    program = (
        "import ray, sys, time\n"
        "end = time.monotonic() + 90\n"
        "while True:\n"
        "    try:\n"
        "        ray.is_initialized() or ray.init(address=sys.argv[1], logging_level='error')\n"
        "        if sum(each['Alive'] for each in ray.nodes()) >= int(sys.argv[2]): break\n"
        "    except Exception as error:\n"
        "        print(error)\n"
        "    if time.monotonic() > end: sys.exit('too few nodes')\n"
        "    time.sleep(0.2)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, address, str(nodes)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        check=True,
        timeout=120,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started; the worker's mount goes with its last process."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for each in alive:
        each.kill()
    process.wait(10)
