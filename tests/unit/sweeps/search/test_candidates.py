"""Which trial comes next: of a list, and of optuna's draws, also after a restart."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from sweeps.document.expand import Trial, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.document.stages import SweepExtension, extended
from sweeps.search.candidates import Listed, Suggested
from tests.data_factories import spec_document


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


def drawn_sweep(**changes: Any) -> SweepSpec:
    axes = [{"pointer": "/schedule/learning_rate", "loguniform": [0.001, 0.1]}]
    return sweep_of(axes=axes, search="optuna", limits={"trials": 3}, **changes)


def test_trials_that_ended_are_told_first() -> None:
    """Before anything new is judged, a scheduler learns of all that ended; then the list goes on in order."""
    trials = expand(sweep_of(axes=[{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}]))
    source = Listed(trials, first=frozenset({1, 3}))
    order = [source.next() for _ in trials]
    assert [trial.number for trial in order if trial] == [1, 3, 0, 2]
    assert source.exhausted


def values_of(trials: list[Trial]) -> list[Any]:
    return [trial.settings["/schedule/learning_rate"] for trial in trials]


def drain(source: Suggested, score: float) -> list[Trial]:
    trials = []
    while (trial := source.next()) is not None:
        trials.append(trial)
        source.ended(trial.number, score)
    return trials


def test_optuna_draws_a_trial_for_each_seed() -> None:
    """As many draws as asked for, a trial for each seed, numbered without gaps; the same for one seed."""
    trials = drain(Suggested(drawn_sweep()), 1.0)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert [trial.spec.seed for trial in trials] == [0, 1] * 3
    assert len(set(values_of(trials))) == 3
    assert values_of(drain(Suggested(drawn_sweep()), 1.0)) == values_of(trials)


def test_optuna_after_a_restart() -> None:
    """Trials that ended are not drawn again, one that ran is run again, and new draws are new."""
    sweep = drawn_sweep()
    before = drain(Suggested(sweep), 1.0)[:3]
    known = [(before[0], (40.0,)), (before[1], (None,)), (before[2], None)]
    after = drain(Suggested(sweep, known), 1.0)  # type: ignore[arg-type]
    assert [trial.number for trial in after] == [2, 3, 4, 5]
    assert values_of(after)[0] == values_of(before)[2]
    assert after[1].spec.seed == 1, "the seed that the killed driver had not begun"
    assert after[1].settings == before[2].settings
    assert not set(values_of(after)[2:]) & set(values_of(before))


def test_optuna_for_each_variant() -> None:
    """Each variant has draws of its own: what suits one method says nothing of another."""
    variants = {"a": {"kind": "baseline"}, "b": {"kind": "dice"}}
    trials = drain(Suggested(drawn_sweep(variants=variants)), 1.0)
    assert [trial.variant for trial in trials] == ["a", "a", "b", "b"] * 3
    assert [trial.number for trial in trials] == list(range(12))


def _drawn_on(number: int, more: int) -> float:
    """How far the draws that `extend` adds lie from what scores best, 0.01: powers of ten, in the median."""
    axes = [{"pointer": "/schedule/learning_rate", "loguniform": [0.0001, 0.1]}]
    added = []
    for seed in range(10):
        sweep = sweep_of(axes=axes, search="optuna", limits={"trials": number}, seeds=[0], search_seed=seed)
        before = _run(Suggested(sweep))
        after = _run(Suggested(extended(sweep, SweepExtension(trials=more)), before))
        assert len(after) == more
        added += [-value for _, (value,) in after]
    return statistics.median(added)


def _run(source: Suggested) -> list[tuple[Trial, tuple[float]]]:
    """Every trial to its end, with its score: minus the distance to 0.01."""
    found = []
    while (trial := source.next()) is not None:
        value = -abs(math.log10(trial.settings["/schedule/learning_rate"]) + 2)  # type: ignore[arg-type]
        source.ended(trial.number, value)
        found.append((trial, (value,)))
    return found


def test_optuna_goes_on_from_all_that_it_has_seen() -> None:
    """Draws that `extend` adds lie where those before scored best; the first ten of all are at random."""
    assert _drawn_on(20, 10) < 0.4
    assert _drawn_on(3, 7) == pytest.approx(0.75, abs=0.15), "that of a draw at random"
