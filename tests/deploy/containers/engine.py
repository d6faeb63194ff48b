"""A container engine of its own in a temporary directory; it ends, with all it runs, with who began it.

It lives in a process and a mount namespace: with the first process all others end, and with the last all
mounts are gone, however that came about. It changes neither the host's forwarding nor its
iptables. A published port is one of its own processes, on loopback.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.deploy.containers.tools import NoEngine, need_tools

# Before a command: with us it ends, with it all that it started and mounted.
OWN_NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
_READY_SECONDS = 60.0
_STOP_SECONDS = 60.0
_CACHE = "DEPLOY_CACHE"  # a directory: images and layers are kept there for the next run
_LOG_LINES = 5


class CommandFailed(AssertionError):
    """A command of the engine ended with another code than 0."""


@dataclass(frozen=True)
class Engine:
    """A running engine. Command lines are never shown with what came by `environment`."""

    folder: Path
    environment: dict[str, str]
    pid: int  # of the process whose end is the engine's

    def docker(self, *arguments: str | Path, seconds: float = 120.0, check: bool = True, **extra: str) -> str:
        """What `docker …` printed on stdout.

        Raises:
            CommandFailed: it ended with another code than 0, where that is checked.
            subprocess.TimeoutExpired: it took longer.
        """
        done = subprocess.run(
            ["docker", *map(str, arguments)],
            env=self.environment | extra,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
            raise CommandFailed(f"docker {' '.join(map(str, arguments))}: {done.returncode}\n{tail}")
        return done.stdout

    def left(self) -> dict[str, list[str]]:
        """Containers, volumes and networks of our own that are there, by kind."""
        kinds = {
            "containers": ("ps", "--all", "--quiet"),
            "volumes": ("volume", "ls", "--quiet"),
            "networks": ("network", "ls", "--quiet", "--filter", "type=custom"),
        }
        return {kind: self.docker(*command).split() for kind, command in kinds.items()}

    def processes(self) -> list[str]:
        """Names of its processes: the engine's own, and of each container its keeper and all in it."""
        return [each.name() for each in psutil.Process(self.pid).children(recursive=True)]

    def mounts(self) -> list[str]:
        """Where something is mounted in its namespace, below its directory."""
        (first,) = psutil.Process(self.pid).children()
        lines = Path(f"/proc/{first.pid}/mounts").read_text(encoding="utf-8").splitlines()
        return [place for line in lines if (place := line.split()[1]).startswith(str(self.folder))]


@contextlib.contextmanager
def own_engine() -> Iterator[Engine]:
    """Starts one, and ends it with everything in it.

    Raises:
        NoEngine: none can be had here.
    """
    folder = Path(tempfile.mkdtemp(prefix="rr-deploy-"))
    try:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DOCKER_HOST": f"unix://{folder}/socket",
            "DOCKER_CONFIG": str(need_tools(folder)),
            "DOCKER_BUILDKIT": "1",
        }
        cache = os.environ.get(_CACHE)
        data = Path(cache).resolve() if cache else folder / "data"
        groups = f"/{folder.name}"
        process = _start(folder, data, groups)
        try:
            engine = Engine(folder, environment, process.pid)
            _wait(engine, process)
            yield engine
            _remove_all(engine)
        finally:
            _stop(process)
            _remove_groups(folder.name)
    finally:
        shutil.rmtree(folder)


def _start(folder: Path, data: Path, groups: str) -> subprocess.Popen[bytes]:
    """The engine; our end is its end."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                *OWN_NAMESPACES,
                *("docker-init", "--"),  # takes in what containers' keepers leave
                *("dockerd", "--data-root", data, "--exec-root", folder / "exec"),
                *("--pidfile", folder / "pid", "--host", f"unix://{folder}/socket"),
                *("--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"),
                *("--cgroup-parent", groups, "--bridge=none", "--iptables=false"),
                *("--ip-forward=false", "--ip-masq=false"),
            ],
            # Nothing of ours is handed on: what it starts ends with its namespace, and needs no mark.
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    """Returns once the engine answers."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with contextlib.suppress(CommandFailed):
            engine.docker("version", seconds=10)
            engine.docker("compose", "version", seconds=10)
            return
        if process.poll() is not None or time.monotonic() > deadline:
            lines = (engine.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            raise NoEngine("dockerd does not start: " + " | ".join(lines[-_LOG_LINES:]))
        time.sleep(0.2)


def _remove_all(engine: Engine) -> None:
    """What a failed test left, so that no bridge of a network stays on the machine."""
    found = engine.left()
    if found["containers"]:
        engine.docker("rm", "--force", "--volumes", *found["containers"])
    if found["networks"]:
        engine.docker("network", "rm", *found["networks"])
    if found["volumes"]:
        engine.docker("volume", "rm", *found["volumes"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Gives the engine time to end its containers. unshare ignores the signal, and ends with its child."""
    for child in psutil.Process(process.pid).children():
        child.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove_groups(name: str) -> None:
    """The control groups, one tree for each controller or one for all: empty, they are only directories."""
    for tree in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        for group, _, _ in os.walk(tree, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
