"""Hosts of namespaces are what they are taken for: links fail as asked, and nothing stays or leaks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.deploy.hosts.campaign import require_hosts
from tests.deploy.hosts.network import Host, Network, remove_leftovers
from tests.e2e.instance import until
from tests.paths import ROOT

pytestmark = pytest.mark.integration

PORT = 7000
KILLED = """
import os, sys
from tests.deploy.hosts.network import Network
network = Network()
host = network.add("one")
host.start("sleep", ["sleep", "600"], os.environ)
print(network.directory, host.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    require_hosts()
    network = Network()
    for name in ("one", "two"):
        network.add(name)
    yield network
    network.close()


def round_trip(network: Network, limit_seconds: float = 10.0) -> float:
    """Seconds until a byte has come from the first host to the second and back. Raises OSError: never."""
    one, two = network.hosts
    with ExitStack() as opened:
        with two.reached():
            server = opened.enter_context(closing(socket.create_server((two.address, PORT))))
        with one.reached():
            near = socket.create_connection((two.address, PORT), limit_seconds)
        far = server.accept()[0]
        for end in (near, far):
            opened.enter_context(closing(end))
            end.settimeout(limit_seconds)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.monotonic()
        near.sendall(b"x")
        far.sendall(far.recv(1))
        assert near.recv(1) == b"x"
        return time.monotonic() - begun


def test_a_cut_link_carries_nothing_until_it_is_healed(network: Network) -> None:
    """No end is told while it is cut: who asks waits in vain."""
    round_trip(network)
    network.hosts[1].cut()
    with pytest.raises(OSError, match=r"timed out|No route to host"):
        round_trip(network, limit_seconds=0.5)
    network.hosts[1].heal()
    round_trip(network)


def test_a_slow_link_takes_its_time_both_ways(network: Network) -> None:
    """The delay is in each direction, and gone with the link."""
    network.hosts[1].connect_badly(delay_seconds=0.2, loss=0.0, seed=0)
    assert round_trip(network) >= 0.4
    network.hosts[1].connect()
    assert round_trip(network) < 0.4


def test_a_link_that_loses_all_carries_nothing(network: Network) -> None:
    """And one that loses a tenth carries all the same: TCP sends again."""
    network.hosts[1].connect_badly(delay_seconds=0.0, loss=1.0, seed=0)
    with pytest.raises(OSError, match=r"timed out|No route to host"):
        round_trip(network, limit_seconds=0.5)
    network.hosts[1].connect_badly(delay_seconds=0.0, loss=0.1, seed=0)
    round_trip(network)
    network.hosts[1].connect()


def test_a_host_has_no_way_out(network: Network) -> None:
    """Nor does this machine see its links, or forward for it."""
    routes = network.hosts[0].run(["ip", "route"], os.environ)
    assert "default" not in routes
    here = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert not [host.port for host in network.hosts if host.port in here]
    assert "bridge" not in here
    assert _who_am_i(network.hosts[0]) == "one"
    assert socket.gethostname() != "one"


def test_nothing_outlives_its_maker() -> None:
    """After SIGKILL of whoever made it no process is left, and the next one removes the files."""
    require_hosts()
    maker = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert maker.stdin is not None
    assert maker.stdout is not None
    directory, pid = maker.stdout.readline().split()
    maker.send_signal(signal.SIGKILL)
    maker.wait(10)
    until(lambda: not Path(f"/proc/{pid}").exists(), seconds=10, what="the host has ended")
    assert Path(directory).exists()
    remove_leftovers()
    assert not Path(directory).exists()
    maker.stdin.close()
    maker.stdout.close()


def _who_am_i(host: Host) -> str:
    return host.run(["uname", "-n"], os.environ).strip()
