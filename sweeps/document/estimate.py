"""Seconds for a pixel of a crop, as earlier runs took them, for the estimate of `sweeps.document.cost`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator

from sweeps.document.cost import Cost, crop_pixels
from trainer.base.errors import ReportError
from trainer.base.schema_words import counted
from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import ExperimentSpec
from trainer.storage.layout import Storage

_MOST_REPORTS = 200


def pixel_seconds(reports: Iterable[AttemptReport]) -> Callable[[ExperimentSpec], float | None]:
    """A function from a spec to the median over completed runs of the same model, crop, batch and resources.

    Attempts that resumed another, and experiments that continue one, are left out: they trained only a part
    of their iterations.
    """
    measured: dict[str, list[float]] = {}
    for report in reports:
        if report.result is not None and report.attempt == 1 and report.spec.continues is None:
            taken = report.result.train_seconds / crop_pixels(report.spec)
            measured.setdefault(_like(report.spec), []).append(taken)

    def of(spec: ExperimentSpec) -> float | None:
        found = measured.get(_like(spec))
        return statistics.median(found) if found else None

    return of


def stored_reports(storage: Storage) -> Iterator[AttemptReport]:
    """Reports of the newest first attempts in `storage`."""
    files = (storage.attempt(name, 1).report for name in storage.experiments.names())
    ended = [(at, file) for file in files if (at := file.modified_ns()) is not None]
    for _, file in sorted(ended, key=lambda each: each[0], reverse=True)[:_MOST_REPORTS]:
        try:
            report = read_report(file)
        except ReportError:
            continue
        if report is not None:
            yield report


def cost_line(cost: Cost, at_once: int | None) -> str:
    """The cost in a line for people."""
    size = ", ".join(
        (
            counted(cost.trials, "trial"),
            counted(cost.iterations, "iteration"),
            counted(cost.pictures, "picture"),
        )
    )
    gpus = f" and {counted(cost.gpus, 'GPU')}" if cost.gpus else ""
    size += f"; at most {counted(cost.cpus, 'CPU')}{gpus} a trial"
    if cost.train_seconds is None:
        return f"{size}; time unknown: nothing like it has been measured in this storage"
    wall = f", {_hours(cost.train_seconds / min(at_once, cost.trials))} {at_once} at once" if at_once else ""
    hours = f", {cost.gpu_hours:.2f} GPU hours" if cost.gpu_hours else ""
    return f"{size}; training about {_hours(cost.train_seconds)} one after another{wall}{hours}"


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _like(spec: ExperimentSpec) -> str:
    resources = spec.resources.model_dump_json()
    return f"{spec.model.model_dump_json()} {spec.schedule.crop_size} {spec.schedule.batch_size} {resources}"
