"""One data directory in use: its lock, and the files that say what runs for it and where it answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.local.processes import ProcessRecord
from service.shared.endpoints import FILE_NAME, Endpoints, read_endpoints
from trainer.base.errors import RegionRebalanceError
from trainer.base.files import write_atomically

# Below the range from which systems take the near ends of outgoing connections: such a port stays free
# between the look and the use.
_PORTS = range(20_000, 32_000)


class DataDirInUse(RegionRebalanceError):
    """Another live `rebalance serve` or `rebalance demo` holds the data directory."""


class DataDirUnusable(RegionRebalanceError):
    """The data directory cannot be made, or not be written to."""


class PortInUse(RegionRebalanceError):
    """Somebody else listens on the port asked for."""


@dataclass(frozen=True)
class DataDir:
    """The files of an instance beside its database and storage."""

    path: Path

    @property
    def endpoints(self) -> Path:
        return self.path / FILE_NAME

    @property
    def processes(self) -> Path:
        return self.path / "processes.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def mlflow(self) -> Path:
        return self.path / "mlflow"

    @property
    def ray_token(self) -> Path:
        return self.path / "ray_token"

    @property
    def ray_environment(self) -> Path:
        """A line for a shell to read: what `ray job submit` needs."""
        return self.path / "ray.env"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory for this process; the system lets go of it however the process ends.

        Raises:
            DataDirInUse: naming the process that holds it.
            DataDirUnusable: saying why.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            why = f"cannot be used ({error.strerror or error})"
            raise DataDirUnusable(
                f"--data-dir {self.path}: {why}; allowed: a directory we may write to"
            ) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataDirInUse(self._holder(handle)) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def _holder(self, handle: int) -> str:
        pid = os.pread(handle, 20, 0).decode(errors="replace") or "unknown"
        endpoints = read_endpoints(self.path)
        where = f", API at {endpoints.api}" if endpoints else ""
        return (
            f"{self.path} is already being served (process {pid}{where}); "
            "stop that one, or name another directory with --data-dir"
        )


def write_endpoints(directory: DataDir, endpoints: Endpoints) -> None:
    """Replaces endpoints.json as a whole."""
    write_atomically(directory.endpoints, json.dumps(endpoints.to_json(), indent=1) + "\n")


def read_processes(directory: DataDir) -> tuple[str | None, dict[str, ProcessRecord]]:
    """The instance's mark and the processes recorded, by name; (None, {}) where nothing usable is written."""
    match _read_json(directory.processes):
        case {"token": str(token), "processes": dict(entries)}:
            records = {name: ProcessRecord.from_json(entry) for name, entry in entries.items()}
            return token, {name: record for name, record in records.items() if record is not None}
    return None, {}


def write_processes(directory: DataDir, token: str, records: Mapping[str, ProcessRecord]) -> None:
    """Replaces processes.json as a whole. Written before the first start, so that orphans have a mark."""
    document = {"token": token, "processes": {name: record.to_json() for name, record in records.items()}}
    write_atomically(directory.processes, json.dumps(document, indent=1) + "\n")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def free_ports(count: int, preferred: tuple[int, ...] = ()) -> tuple[int, ...]:
    """`count` different TCP ports nobody listens on; `preferred` as they are if all of them are free."""
    if len(preferred) == count and all(_free(port) for port in preferred):
        return preferred
    chosen: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(chosen) == count:
            break
        if _free(port):
            chosen.append(port)
    return tuple(chosen)


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is free to listen on
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address but not listening: early clients are refused, not left waiting.

    Raises:
        PortInUse: or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio takes Nagle's algorithm off what is accepted: an answer's head and body
    # are two writes, and the second would wait 40 ms until the client has acknowledged the first.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        why = f"cannot listen on {host}:{port} ({error.strerror or error})"
        raise PortInUse(f"--port {port}: {why}; allowed: a free port, or 0 for any") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """http://HOST:PORT under which a client on this machine reaches the socket."""
    host, port = bound.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{local}:{port}"
