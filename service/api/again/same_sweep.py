"""Whether a sweep was run before, and which of its trials were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.api.again.same import Lookback
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Experiment, Tagged
from sweeps.document.expand import Trial, count_trials
from sweeps.document.same import sweep_hash
from sweeps.document.spec import SweepSpec
from trainer.spec.spec import ExperimentSpec, spec_hash

_MOST_LOOKED_AT = 3  # of sweeps with the same document, the newest


def earlier_same_sweep(
    spec: SweepSpec, trials: Sequence[Trial], store: Store, lookback: Lookback
) -> str | None:
    """Id of an earlier sweep that gives what `spec` would give now: the newest that completed, else one that
    goes on; None where there is none.

    All of its trials must be there, and each must have ended well, or may yet, with the code and data that it
    would have now. One that its scheduler stopped early ended well.

    Args:
        trials: all that `spec` has, resolved; of optuna such as it may draw, which are not compared.
    """
    found = store.sweeps.of_hash(sweep_hash(spec), limit=_MOST_LOOKED_AT)
    if not found:
        return None
    found.sort(key=lambda each: each[1] is not State.COMPLETED)  # stable: the newest first of either
    hashes = {} if spec.search == "optuna" else {each.number: spec_hash(each.spec) for each in trials}
    for sweep, state in found:
        rows = store.trials(sweep)
        whole = len(rows) == count_trials(spec) or (spec.search == "optuna" and not state.ended)
        if whole and all(_is_same(row, hashes, lookback) for row in rows):
            return sweep
    return None


def with_duplicates(rows: Sequence[Tagged], lookback: Lookback) -> list[Tagged]:
    """Trials to be stored, each with the id of an earlier experiment that is the same, if there is one."""
    found = lookback.experiments(
        [row.spec_hash for row, _ in rows],
        lambda place: ExperimentSpec.model_validate_json(rows[place][0].spec),
    )
    return [(replace(row, duplicate_of=same), tags) for (row, tags), same in zip(rows, found, strict=True)]


def _is_same(row: Experiment, hashes: dict[int, str], lookback: Lookback) -> bool:
    if hashes and hashes.get(row.trial or 0) != row.spec_hash:
        return False
    well = row.state is State.COMPLETED or row.stopped
    going = not row.state.ended and row.state is not State.PAUSED and row.cancel_requested_at is None
    if not (well or going):
        return False
    return lookback.is_same(row.id, row.state, ExperimentSpec.model_validate_json(row.spec))
