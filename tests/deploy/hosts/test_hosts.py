"""The product on several hosts, and what becomes of trainings when hosts and links fail.

Hosts are network namespaces of this machine (`network.py`), with a directory that all of them share in the
place of NFS. One fault is tried with every run of the tests, all of them by `make deploy-campaign`: see
`campaign.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.deploy.hosts import links, losses
from tests.deploy.hosts.campaign import ALL, ASKED, ITERATIONS, SEED, keep, programs_or_skip
from tests.deploy.hosts.lab import Counts, Lab
from tests.paths import ROOT

pytestmark = pytest.mark.integration

SMOKE = ROOT / "deploy" / "smoke.sh"
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
    programs = programs_or_skip(request.config)
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
    if not ALL:  # no host had both ranks: this is what faults are compared with
        lab.compare_with(work, workers=2)
    counts = lab.checked(work, workers=2)
    if ALL:
        keep("two hosts as one", {**counts, "ended_seconds": round(time.monotonic() - begun, 1)})


@pytest.mark.parametrize("name", [name for name in FAULTS if ALL or name in (ASKED or OFTEN)])
def test_fault(lab: Lab, name: str) -> None:
    """Each accepted experiment ends once, as if nothing had been, with one run in MLflow."""
    lab.whole(cpus=2)
    keep(name, FAULTS[name](lab))


@pytest.mark.skipif(not ALL or not SMOKE.exists(), reason="HOSTS=all, and deploy/smoke.sh")
def test_smoke(lab: Lab) -> None:
    """The smoke test of every deployment passes on this one."""
    lab.whole(cpus=2)
    keep("smoke", lab.deployment.smoke(lab.service, SMOKE))
