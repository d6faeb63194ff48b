"""The data sets of a sweep's trials, checked where they lie; each kind of trial once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweeps.document.expand import Trial, refuse, told
from sweeps.document.spec import SweepSpec
from trainer.base.data_roots import DataRoot, names_in, place_of
from trainer.base.errors import Problem, SpecError
from trainer.data.class_names import read_classes
from trainer.data.folders import resolve_spec
from trainer.results.metrics import GROUPS, frequency_groups
from trainer.spec.data.datasets import DATASETS, AnyDataset, Folder
from trainer.spec.recipes import Machines
from trainer.spec.spec import ExperimentSpec
from trainer.storage.layout import Storage


def resolve_trials(
    sweep: SweepSpec,
    trials: Sequence[Trial],
    *,
    data_roots: Sequence[DataRoot] | None,
    storage: Storage | None = None,
    most: Machines | None = None,
    resolve: Callable[..., ExperimentSpec] = resolve_spec,
) -> tuple[Trial, ...]:
    """`trials` with absolute data roots (or by name), after what `trainer.data.folders.resolve_spec` checks.

    Args:
        storage: where pretrained weights must lie; None: that is not asked.
        most: what the cluster may grow to, where that is declared.

    Raises:
        SpecError: problems stand at the axis whose value was refused, else in the base; or the sweep's
            metric is one that a trial's data set cannot have.
    """
    found: dict[str, ExperimentSpec] = {}
    problems: list[Problem] = []
    resolved = []
    for trial in trials:
        key = kind_of(trial)
        if key not in found:
            try:
                found[key] = resolve(trial.spec, data_roots=data_roots, storage=storage, most=most)
            except SpecError as error:
                found[key] = trial.spec
                called = f"trial {trial.number} ({trial.row})"
                problems += (told(sweep, called, trial.settings, each) for each in error.problems)
        spec = trial.spec.model_copy(update={"dataset": found[key].dataset})
        resolved.append(replace(trial, spec=spec))
    refuse(problems)
    refuse(_unreported(sweep, resolved, names_in(data_roots or ())))
    return tuple(resolved)


def kind_of(trial: Trial) -> str:
    """What `resolve_trials` checks of a trial: the same for trials that need be looked at but once."""
    spec = trial.spec
    parts = (spec.dataset, spec.model, spec.resources, spec.evaluation)
    told = " ".join(part.model_dump_json() for part in parts)
    return f"{told} {spec.schedule.crop_size} {spec.weights}"


def _unreported(sweep: SweepSpec, trials: Sequence[Trial], named: Mapping[str, str]) -> Iterator[Problem]:
    """Trials whose data set has too few classes for the group that the metric is of."""
    group = sweep.metric.removesuffix("_mIoU")
    if group not in GROUPS:
        return
    numbers: dict[str, int] = {}
    for trial in trials:
        dataset, boundaries = trial.spec.dataset, trial.spec.evaluation.group_boundaries
        key = dataset.model_dump_json()
        if key not in numbers:
            numbers[key] = _num_classes(dataset, named)
        if group not in frequency_groups(range(numbers[key]), boundaries):
            got = f"trial {trial.number} ({trial.row}) never reports {sweep.metric}: of its data set's "
            got += f"{numbers[key]} classes none is in the {group}"
            yield Problem("/metric", got, "a metric that each trial reports")


def _num_classes(dataset: AnyDataset, named: Mapping[str, str]) -> int:
    names = DATASETS[dataset.name].classes
    if names is None:
        assert isinstance(dataset, Folder)
        place = place_of(dataset.root, named)
        assert isinstance(place, Path)  # it was resolved
        names = read_classes(place)
    return len(names)
