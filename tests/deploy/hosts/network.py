"""Hosts of a network of their own: each a process 1 in namespaces of its own, a name, an address and a link.

Nothing of it has a name outside: namespaces, links and mounts go with the processes in them, and every
process 1 ends with whoever made it, also by SIGKILL. The machine's own network is never touched: all links
meet in a bridge in one more namespace, which has no way out. Only files stay after a SIGKILL; whoever makes
the next network removes them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.hosts.namespaces import NEW, in_network

_HERE = Path(__file__).parent
_PREFIX = "rr-hosts-"  # short: the path of a socket has at most 107 bytes
_LOCK = "in-use"
_SUBNET = "10.231.77"
_END_SECONDS = 20.0
_IN_DIRECTORY = 'cd "$1" && shift && exec "$@"'  # not nsenter's --wd: that is one of the mounts outside
_RESTARTED = 'while :; do "$@"; sleep 1; done'  # as systemd's Restart=always, or a container's restart policy


class Host:
    """One host. `address` is its own; `directory` its disk, `temporary` what its programs see of it."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name = name
        self.address = f"{_SUBNET}.{number}"
        self.directory = network.directory / f"{name}.{len(network.hosts)}"  # a new machine has a new disk
        self.temporary = network.temporary
        private = self.directory / "tmp"
        private.mkdir(parents=True)
        self._network = network
        self._relay: subprocess.Popen[str] | None = None
        self._programs: list[subprocess.Popen[bytes]] = []
        self._mac = f"02:00:00:00:77:{number:02x}"
        command = [*NEW, sys.executable, "-I", str(_HERE / "host_init.py"), name, str(network.hosts_file)]
        command += [str(private), str(network.temporary)]
        self._process = _spoken(command, self.directory / "host.log")
        (child,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self.pid = int(child)  # of process 1, as everybody else sees it

    @property
    def port(self) -> str:
        """The name of its link at the switch."""
        return f"p-{self.name}"

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        return self._process.poll() is None

    @property
    def prefix(self) -> list[str]:
        """What a command line begins with that runs on this host, in its directory."""
        join = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        return [*join, "sh", "-c", _IN_DIRECTORY, "sh", str(self.directory)]

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, restarted: bool = False
    ) -> None:
        """Starts a program, its output in NAME.log; `restarted` as often as it ends."""
        again = ["sh", "-c", _RESTARTED, "sh"] if restarted else []
        with (self.directory / f"{name}.log").open("ab") as log:
            program = subprocess.Popen(
                [*self.prefix, *again, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
            )
        self._programs.append(program)

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, seconds: float = 120) -> str:
        """What a program prints that must succeed."""
        done = subprocess.run(
            [*self.prefix, *command],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr}"
        return done.stdout

    def processes(self) -> list[str]:
        """The command lines, or titles, of what runs on it."""
        mine = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/pid").readlink() == mine:
                    found.append(
                        (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except OSError:  # it has ended
                continue
        return found

    @contextmanager
    def reached(self) -> Iterator[None]:
        """This thread on the host's network: its 127.0.0.1 is the host's."""
        with in_network(self.pid):
            yield

    def cut(self) -> None:
        """Takes the cable out of the switch: no frame comes or goes, and no end is told."""
        self._network.at_switch("ip", "link", "set", self.port, "down")

    def heal(self) -> None:
        """Puts it in again."""
        self._network.at_switch("ip", "link", "set", self.port, "up")

    def connect(self) -> None:
        """A good link to the switch."""
        self._unlink()
        self._ip(
            "link", "add", "eth0", "type", "veth", "peer", "name", self.port, "netns", str(self._network.pid)
        )
        self._set_up()

    def connect_badly(self, *, delay_seconds: float, loss: float, seed: int) -> None:
        """A link that is slow or loses frames, in both directions; open connections go on over it."""
        self._unlink()
        command = [sys.executable, str(_HERE / "relay.py"), str(self._network.pid), self.port, str(self.pid)]
        command += [str(delay_seconds), str(loss), str(seed)]
        self._relay = _spoken(command, self.directory / "relay.log")
        self._set_up()

    def power_off(self) -> None:
        """Ends everything on it at once, and nobody hears a word of it: no connection is closed."""
        if self.alive:
            self.cut()
        self.close()

    def close(self) -> None:
        """Ends it and all its processes."""
        self._end_relay()
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        for process in (self._process, *self._programs):
            process.wait(_END_SECONDS)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _set_up(self) -> None:
        """The same addresses over whatever link there is."""
        self._ip("link", "set", "eth0", "address", self._mac)
        self._ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self._ip("link", "set", "eth0", "up")
        self._network.at_switch("ip", "link", "set", self.port, "master", "bridge", "up")

    def _unlink(self) -> None:
        self._end_relay()
        there = self._network.at_switch("ip", "-o", "link", "show").stdout
        if f" {self.port}@" in there or f" {self.port}:" in there:
            self._network.at_switch("ip", "link", "delete", self.port)

    def _end_relay(self) -> None:
        if self._relay is not None:
            self._relay.communicate(timeout=_END_SECONDS)
            self._relay = None

    def _ip(self, *words: str) -> None:
        _do("nsenter", f"--target={self.pid}", "--net", "ip", *words)


class Network:
    """The switch, the hosts, and the directory that all of them share, as they would an NFS export."""

    def __init__(self) -> None:
        remove_leftovers()
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
        self._lock = (self.directory / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.directory.chmod(0o755)
        self.shared = self.directory / "shared"
        self.temporary = self.directory / "t"
        self.hosts_file = self.directory / "hosts"
        for each in (self.shared, self.temporary):
            each.mkdir()
        self.hosts_file.write_text("127.0.0.1 localhost\n::1 localhost\n")
        self.hosts: list[Host] = []  # also those that have gone
        self._made = 0
        self._switch = Host(self, "switch", 254)
        self.pid = self._switch.pid
        self.at_switch("ip", "link", "add", "bridge", "type", "bridge")
        self.at_switch("ip", "link", "set", "bridge", "up")

    def add(self, name: str, *, instead_of: Host | None = None) -> Host:
        """A new host with a good link; `instead_of` one that has gone, it has that one's address."""
        if instead_of is None:
            self._made += 1
        number = self._made if instead_of is None else int(instead_of.address.rpartition(".")[2])
        host = Host(self, name, number)
        self.hosts.append(host)
        with self.hosts_file.open("a") as file:
            file.write(f"{host.address} {name}\n")
        host.connect()
        return host

    def at_switch(self, *command: str) -> subprocess.CompletedProcess[str]:
        return _do("nsenter", f"--target={self.pid}", "--net", *command)

    def close(self) -> None:
        """Ends every host, and removes what they have written."""
        for host in (*self.hosts, self._switch):
            host.close()
        self._lock.close()
        shutil.rmtree(self.directory)


def remove_leftovers() -> None:
    """Removes what somebody left that was killed: whoever is alive holds the lock."""
    for directory in Path("/tmp").glob(f"{_PREFIX}*"):
        try:
            with (directory / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):  # in use, or this moment made
            continue
        shutil.rmtree(directory)


def _do(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done


def _spoken(command: Sequence[str], log: Path) -> subprocess.Popen[str]:
    """A process that runs as long as its stdin is open, once it has said that it is up."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n", f"{command[0]} does not start: {log.read_text()}"
    return process
