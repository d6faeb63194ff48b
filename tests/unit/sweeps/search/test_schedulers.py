"""What Tune's schedulers decide when they are told what trials tell, without Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.search.evaluations import Evaluation
from sweeps.search.schedulers import scheduler_of
from sweeps.search.tune_trial import told
from tests.data_factories import spec_document

GO, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


def sweep_of(**changes: Any) -> SweepSpec:
    base = spec_document(evaluation={"interval": 2}, schedule={"iterations": 16})
    scheduler = {"kind": "asha", "reduction_factor": 2}
    return parse_sweep({"name": "s", "base": base, "scheduler": scheduler, **changes})


class Judge:
    """The scheduler of a sweep, set up as `tune.run` does it."""

    def __init__(self, sweep: SweepSpec) -> None:
        self._metric = sweep.metric
        self._scheduler = scheduler_of(sweep)
        self._scheduler.set_search_properties(sweep.metric, sweep.direction)
        self._trials: dict[str, Any] = {}

    def hears(self, name: str, iteration: int, value: float | None, *, ended: bool = False) -> str | None:
        """What is decided on a trial's evaluation; at its end nothing can be."""
        if name not in self._trials:
            self._trials[name] = SimpleNamespace(trial_id=name)
            self._scheduler.on_trial_add(None, self._trials[name])
        result = told(Evaluation(iteration, value, ended), self._metric)
        if ended:
            self._scheduler.on_trial_complete(None, self._trials[name], result)
            return None
        return str(self._scheduler.on_trial_result(None, self._trials[name], result))


def test_asha_keeps_one_of_so_many() -> None:
    """At a rung a trial stops if it is not among the best half of those that came there so far; the first
    there goes on, and an equal one does.
    """
    judge = Judge(sweep_of())
    scores = [30.0, 40.0, 20.0, 36.0, 36.0, 35.0]
    verdicts = [judge.hears(f"t{place}", 2, score) for place, score in enumerate(scores)]
    assert verdicts == [GO, GO, STOP, GO, GO, STOP]


def test_asha_judges_at_rungs_alone() -> None:
    """Rungs lie at grace times powers of the factor: 2, 4, 8 here; between two, any value goes on."""
    judge = Judge(sweep_of())
    for iteration in (2, 4, 6, 8, 10):
        assert judge.hears("good", iteration, 50.0 + iteration) == GO
    assert judge.hears("bad", 2, 60.0) == GO
    assert [judge.hears("bad", iteration, 1.0) for iteration in (4, 6)] == [STOP, GO]
    assert judge.hears("late", 2, 70.0) == GO
    assert judge.hears("late", 4, 70.0) == GO
    assert [judge.hears("late", iteration, 1.0) for iteration in (6, 8)] == [GO, STOP]


@pytest.mark.parametrize(("grace", "verdicts"), [(None, [STOP, STOP]), (4, [GO, STOP]), (8, [GO, GO])])
def test_grace(grace: int | None, verdicts: list[str]) -> None:
    """No trial stops before it; without one the first evaluation is the first rung."""
    judge = Judge(sweep_of(scheduler={"kind": "asha", "reduction_factor": 2, "grace_iterations": grace}))
    for iteration in (2, 4):
        judge.hears("good", iteration, 50.0)
    assert [judge.hears("bad", iteration, 1.0) for iteration in (2, 4)] == verdicts


def test_asha_in_the_other_direction() -> None:
    """With "min" the lower value is the better one."""
    judge = Judge(sweep_of(direction="min"))
    assert [judge.hears("a", 2, 30.0), judge.hears("b", 2, 40.0), judge.hears("c", 2, 20.0)] == [GO, STOP, GO]


def test_a_new_driver_judges_as_the_old_one_would() -> None:
    """Told again of all that ended, its rungs are the same: so is the verdict on what follows."""
    told_before = [("a", 2, 30.0, False), ("a", 4, 35.0, False), ("a", 16, 44.0, True), ("b", 2, 10.0, False)]
    old, new = Judge(sweep_of()), Judge(sweep_of())
    for judge in (old, new):
        for name, iteration, value, ended in told_before:
            judge.hears(name, iteration, value, ended=ended)
    for iteration, value in ((2, 29.0), (2, 31.0), (4, 34.0)):
        name = f"c{iteration}{value}"
        assert old.hears(name, iteration, value) == new.hears(name, iteration, value)
    assert Judge(sweep_of()).hears("c", 2, 29.0) == GO, "one that knows nothing lets it go on"
    assert old.hears("d", 2, 29.0) == STOP


def test_a_failed_trial_is_no_rung() -> None:
    """It ends without a score, which nothing is compared with."""
    judge = Judge(sweep_of())
    judge.hears("failed", 2, None, ended=True)
    assert judge.hears("a", 2, 1.0) == GO


def test_without_a_scheduler_nothing_stops() -> None:
    """Whatever the values."""
    judge = Judge(sweep_of(scheduler="none"))
    assert {judge.hears(f"t{value}", 2, float(value)) for value in range(9, 0, -1)} == {GO}
