"""The same faults where Ray waits as long as by default, and nobody says what the cluster may become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.deploy.hosts import links, losses
from tests.deploy.hosts.campaign import ALL, ITERATIONS, SEED, keep, programs_or_skip
from tests.deploy.hosts.lab import Counts, Lab

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not ALL, reason="HOSTS=all, of make deploy-campaign: minutes"),
]

FAULTS: dict[str, Callable[[Lab], Counts]] = {
    "link cut long": links.cut_long,
    "cut-off writer": links.cut_off_writer,
    "head replaced": partial(losses.head_replaced, workers=2),
}


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """All hosts, as they are by default."""
    lab = Lab(
        programs_or_skip(request.config),
        workers={"w1": 1, "w2": 1},
        seed=SEED,
        iterations=ITERATIONS,
        ray_patience={},
        max_cluster="",
    )
    yield lab
    lab.close()


@pytest.mark.parametrize("name", list(FAULTS))
def test_fault(lab: Lab, name: str) -> None:
    """Each accepted experiment ends once, as if nothing had been, with one run in MLflow."""
    lab.whole(cpus=2)
    keep(f"{name}, by default", FAULTS[name](lab))
