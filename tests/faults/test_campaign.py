"""Faults of everything that an experiment depends on, drawn by seed: each ends once, as if nothing had been.

The short form is one small round. `make campaign` has the whole of it; see `campaign.py` for a round alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.campaign import ROUNDS, SEED, Round, Undisturbed, keep, reproduction
from tests.faults.lab import Lab
from tests.postgres import NoPostgres, find_programs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two services; skips where there is no Postgres."""
    try:
        programs = find_programs(request.config.getoption("postgres"))
    except NoPostgres as missing:
        pytest.skip(str(missing))
    lab = Lab(programs, tmp_path_factory.mktemp("faults"))
    yield lab
    lab.close()


def test_all_that_was_accepted_ends_once_and_as_if_nothing_had_been(lab: Lab) -> None:
    """Final states, reports, weights, MLflow runs and rows are those of a lab that was left alone."""
    undisturbed = Undisturbed(lab)
    rows = {"experiments": 0, "sweeps": 0}
    for seed in range(SEED, SEED + max(ROUNDS, 1)):
        print(f"\n{reproduction(seed)}", flush=True)
        before = undisturbed.accepted
        one = Round(lab, undisturbed, seed)
        for table, number in undisturbed.accepted.items():
            rows[table] += number - before[table]
        try:
            keep(seed, one.run(rows))
        except BaseException as error:
            error.add_note(f"once more: {reproduction(seed)}")
            raise
