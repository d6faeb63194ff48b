"""What must not be found: secrets where others look, and ports that the documents do not name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.containers.engine import Engine
from tests.deploy.containers.stack import PROJECT, Stack
from tests.paths import ROOT

NETWORKS = ("front", "web", "cluster", "database", "artifacts")
_SCAN_SECONDS = 300.0
# Every port: a closed one refuses at once, on a network without a router.
_SCAN = """
import socket, sys
for address in sys.argv[1:]:
    found = []
    for port in range(1, 65536):
        with socket.socket() as one:
            if one.connect_ex((address, port)) == 0:
                found.append(port)
    print(address, *found)
"""


def told_in(text: str, secrets: Mapping[str, str]) -> list[str]:
    """The names of the secrets that stand in the text."""
    return [name for name, secret in secrets.items() if secret in text]


def files_that_tell(folder: Path, secrets: Mapping[str, str]) -> list[str]:
    """Files below `folder` with a secret in them."""
    return _grep(["--recursive", "--files-with-matches"], secrets, folder)


def layers_tell(engine: Engine, image: str, secrets: Mapping[str, str]) -> bool:
    """Whether a secret stands in a layer of the image or in its history, as they are pushed."""
    saved = subprocess.Popen(["docker", "save", image], env=engine.environment, stdout=subprocess.PIPE)
    try:
        return bool(_grep(["--count"], secrets, saved.stdout) != ["0"])
    finally:
        assert saved.stdout is not None
        saved.stdout.close()
        saved.wait()


def _grep(options: list[str], secrets: Mapping[str, str], where: object) -> list[str]:
    """Lines of `grep`; the secrets are told it by a file descriptor, not on its command line."""
    needles = "\n".join(secrets.values())
    stream = {} if isinstance(where, Path) else {"stdin": where}
    target = [str(where)] if isinstance(where, Path) else ["-"]
    command = 'exec grep --text --fixed-strings --file=<(printf %s "$NEEDLES") "$@"'
    reading = subprocess.run(
        ["bash", "-c", command, "grep", *options, *target],
        env={"PATH": "/usr/bin:/bin", "NEEDLES": needles},
        capture_output=True,
        text=True,
        check=False,
        **stream,  # type: ignore[call-overload]
    )
    assert reading.returncode in (0, 1), reading.stderr
    return reading.stdout.split()


def open_ports(stack: Stack) -> dict[str, dict[str, set[int]]]:
    """TCP ports that another container can reach, by network and service."""
    engine, found = stack.engine, dict[str, dict[str, set[int]]]()
    for network in NETWORKS:
        name = f"{PROJECT}_{network}"
        form = '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{"\\n"}}{{end}}'
        lines = engine.docker("network", "inspect", "--format", form, name).splitlines()
        addresses = {line.split()[1].partition("/")[0]: line.split()[0] for line in lines if line.strip()}
        scanner = ("--rm", "--network", name, "region-rebalance/service", "python", "-c", _SCAN)
        told = engine.docker("run", *scanner, *addresses, seconds=_SCAN_SECONDS)
        found[network] = {}
        for line in told.splitlines():
            address, *ports = line.split()
            service = re.sub(rf"^{PROJECT}-|-\d+$", "", addresses[address])
            found[network].setdefault(service, set()).update(map(int, ports))
    return found


def documented_ports() -> dict[str, set[int]]:
    """By service, as the table in docs/containers.md has them; a range stands for each of its ports."""
    text = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9, –]+) \|", text, re.MULTILINE)
    return {name: _numbers(ports) for name, ports in rows}


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("–")
        found |= set(range(int(first), int(last or first) + 1))
    return found
