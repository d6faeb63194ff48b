"""Network namespaces, as Python enters them: of one thread, and what is needed to make any."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_PROGRAMS = ("ip", "mount", "nsenter", "unshare")
_OWN = "/proc/thread-self/ns/net"
NEW = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")


class NoNamespaces(Exception):
    """Hosts cannot be made here; the message says why."""


def require_namespaces() -> None:
    """Returns where hosts can be made.

    Raises:
        NoNamespaces: not root, a program is missing, or the kernel refuses.
    """
    if os.geteuid() != 0:
        raise NoNamespaces("no network namespaces: they take root")
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoNamespaces(
            f"no network namespaces: {', '.join(missing)} not installed (util-linux, iproute2)"
        )
    if not Path("/dev/net/tun").exists():
        raise NoNamespaces("no network namespaces: no /dev/net/tun, over which slow links go")
    trial = "ip link add one type veth peer name two && ip link add three type bridge"
    tried = subprocess.run([*NEW, "sh", "-c", trial], capture_output=True, text=True, check=False, timeout=30)
    if tried.returncode != 0:
        raise NoNamespaces(f"no network namespaces: {tried.stderr.strip() or tried.returncode}")


def enter_network(path: str | int) -> None:
    """Puts this thread into a network: a process by its id, or a path. What it opens from now on is there.

    Python has `os.setns` from 3.12 on.

    Raises:
        OSError: there is no such process, or we may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{path}/ns/net" if isinstance(path, int) else path, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


@contextmanager
def in_network(pid: int) -> Iterator[None]:
    """This thread in the network of a process, for a while."""
    here = os.open(_OWN, os.O_RDONLY)
    try:
        enter_network(pid)
        try:
            yield
        finally:
            enter_network(f"/proc/self/fd/{here}")
    finally:
        os.close(here)
