"""The data sets of a sweep's trials, checked where they lie; each kind of trial once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sweeps.expand import Trial, told
from sweeps.spec import SweepSpec
from trainer.errors import Problem, SpecError
from trainer.folders import resolve_spec
from trainer.spec import ExperimentSpec


def resolve_trials(
    sweep: SweepSpec,
    trials: Sequence[Trial],
    *,
    data_roots: Sequence[Path] | None,
    resolve: Callable[..., ExperimentSpec] = resolve_spec,
) -> tuple[Trial, ...]:
    """`trials` with absolute data roots, after what `trainer.folders.resolve_spec` checks.

    Raises:
        SpecError: problems stand at the axis whose value was refused, else in the base.
    """
    found: dict[str, ExperimentSpec] = {}
    problems: dict[tuple[str, str], Problem] = {}
    resolved = []
    for trial in trials:
        key = f"{trial.spec.dataset.model_dump_json()} {trial.spec.schedule.crop_size}"
        if key not in found:
            try:
                found[key] = resolve(trial.spec, data_roots=data_roots)
            except SpecError as error:
                found[key] = trial.spec
                for each in error.problems:
                    place = told(sweep, f"trial {trial.number} ({trial.row})", trial.settings, each)
                    problems.setdefault((place.pointer, place.allowed), place)
        spec = trial.spec.model_copy(update={"dataset": found[key].dataset})
        resolved.append(replace(trial, spec=spec))
    if problems:
        raise SpecError(tuple(problems.values()))
    return tuple(resolved)
