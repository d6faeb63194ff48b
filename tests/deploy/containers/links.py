"""A container's link, cut and healed on the machine's side: its address stays, as with a pulled cable."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deploy.containers.engine import Engine


def cut(engine: Engine, container: str) -> str:
    """Takes down the near end of the container's only network; its name, for `heal`."""
    index = engine.docker("exec", container, "cat", "/sys/class/net/eth0/iflink").strip()
    (name,) = (
        each.name
        for each in Path("/sys/class/net").iterdir()
        if each.name.startswith("veth") and (each / "ifindex").read_text().strip() == index
    )
    _set(name, "down")
    return name


def heal(name: str) -> None:
    """The link is up again; nothing where its container has gone meanwhile."""
    if Path("/sys/class/net", name).exists():
        _set(name, "up")


def _set(name: str, state: str) -> None:
    subprocess.run(["ip", "link", "set", name, state], check=True, timeout=20)
