"""The product on several hosts, and what becomes of trainings when hosts and links fail.

Hosts are network namespaces of this machine (`network.py`), with a directory that all of them share in the
place of NFS. One fault is tried with every run of the tests; HOSTS=all tries them all, HOSTS_SEED draws the
steps, and HOSTS_WRITE=FILE keeps the counts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.hosts import links, losses
from tests.deploy.hosts.lab import Counts, Lab
from tests.deploy.hosts.namespaces import NoNamespaces, require_namespaces
from tests.postgres import NoPostgres, find_programs

pytestmark = pytest.mark.integration

ALL = os.environ.get("HOSTS") == "all"
SEED = int(os.environ.get("HOSTS_SEED", "0"))
ITERATIONS = 120 if ALL else 60
# In this order: what goes wrong in one must not be met by the next, and the service's host is the last to go.
FAULTS: dict[str, Callable[[Lab], Counts]] = {
    "worker replaced": losses.worker_replaced,
    "link cut shortly": links.cut_shortly,
    "link cut long": links.cut_long,
    "cut-off writer": links.cut_off_writer,
    "slow link": links.slow,
    "lossy link": links.lossy,
    "head replaced": losses.head_replaced,
    "database cut": losses.database_cut,
    "service taken over": losses.service_taken_over,
}
OFTEN = {"worker replaced"}


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """All hosts; the campaign begins with one worker that has two CPUs."""
    try:
        require_namespaces()
        programs = find_programs(request.config.getoption("postgres"))
    except (NoNamespaces, NoPostgres) as missing:
        pytest.skip(str(missing))
    workers = {"big": 2} if ALL else {"w1": 1, "w2": 1}
    lab = Lab(programs, workers=workers, seed=SEED, iterations=ITERATIONS)
    yield lab
    lab.close()


@pytest.mark.skipif(not ALL, reason="HOSTS=all, of make deploy-campaign, compares with one host first")
def test_two_workers_on_one_host(lab: Lab) -> None:
    """What the others are compared with: both ranks on one host, which then goes."""
    lab.whole(cpus=2)
    lab.undisturbed(workers=2)
    lab.remove_worker("big")
    for name in ("w1", "w2"):
        lab.add_worker(name)


def test_two_workers_on_two_hosts(lab: Lab) -> None:
    """The weights of a training across two hosts are those of the same on one, bit for bit."""
    lab.whole(cpus=2)
    begun = time.monotonic()
    work = lab.post(workers=2)
    work.reached(1)
    assert sorted(host.name for host in work.trains_on()) == ["w1", "w2"]
    counts = lab.checked(work, workers=2)
    keep("two hosts as one", {**counts, "ended_seconds": round(time.monotonic() - begun, 1)})


@pytest.mark.parametrize("name", [name for name in FAULTS if ALL or name in OFTEN])
def test_fault(lab: Lab, name: str) -> None:
    """Each accepted experiment ends once, as if nothing had been, with one run in MLflow."""
    lab.whole(cpus=2)
    keep(name, FAULTS[name](lab))


def keep(name: str, counts: Counts) -> None:
    """Prints what was counted, and keeps it where a campaign asks for it."""
    print(json.dumps({name: counts}))
    if wanted := os.environ.get("HOSTS_WRITE"):
        file = Path(wanted)
        kept = json.loads(file.read_text()) if file.exists() else {}
        kept.setdefault("hosts", {"seed": SEED, "iterations": ITERATIONS})[name] = counts
        file.write_text(json.dumps(kept, indent=1) + "\n")
