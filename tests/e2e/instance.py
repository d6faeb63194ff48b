"""A real `rebalance serve` in a process of its own, and what tests do to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from service.client import RebalanceClient
from service.local.data_dir import DataDir, read_processes
from service.local.processes import family
from service.shared.endpoints import Endpoints

START_SECONDS = 240.0
STOP_SECONDS = 60.0
RUN_SECONDS = 300.0
Value = TypeVar("Value")


def until(probe: Callable[[], Value | None], *, seconds: float, what: str) -> Value:
    """The first true value of `probe`; fails after `seconds`."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        pause.wait(0.2)


class Instance:
    """One data directory and the `serve` process on it."""

    def __init__(self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """`environment` goes on top of the tests' own."""
        self.data_dir = data_dir
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoints: Endpoints

    def start(self) -> None:
        """Returns when all parts are healthy."""
        with (self.data_dir.parent / "serve.log").open("ab") as log:
            command = [
                sys.executable,
                "-m",
                "service.cli",
                "serve",
                "--data-dir",
                str(self.data_dir),
                "--port",
                "0",
            ]
            self._process = subprocess.Popen(
                [*command, *self._arguments], stdout=log, stderr=log, env=self._environment
            )
        self.endpoints = until(self._ready, seconds=START_SECONDS, what="serve is ready")

    def _ready(self) -> Endpoints | None:
        assert self._process is not None
        assert self._process.poll() is None, (
            f"serve ended:\n{(self.data_dir.parent / 'serve.log').read_text()}"
        )
        try:
            document = json.loads((self.data_dir / "endpoints.json").read_text())
            found = httpx.get(f"{document['api']}/readyz", trust_env=False)
            if found.status_code != 200 or found.json()["status"] != "ok":
                return None
        except (FileNotFoundError, ValueError, httpx.HTTPError):
            return None
        return Endpoints(**document)

    @property
    def pid(self) -> int:
        """Of `serve` itself."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to `serve` alone: Ray and MLflow go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_part(self, part: str) -> None:
        """SIGKILL to all processes of `ray` (jobs, workers, head) or `mlflow`."""
        token, records = read_processes(DataDir(self.data_dir))
        assert token is not None
        for process in family(token, part, records[part].pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=STOP_SECONDS)

    def client(self) -> RebalanceClient:
        return RebalanceClient(self.endpoints.api)

    def ray_environment(self) -> dict[str, str]:
        """The variables `ray job submit` needs, as endpoints and the token file give them."""
        token = next(self.data_dir.rglob("*token*"))
        return {
            **os.environ,
            "RAY_ADDRESS": self.endpoints.ray,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
        }
