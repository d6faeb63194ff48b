"""What a row asks of the queue: the columns that experiments, sweeps and follow-ups have for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sweeps.document.expand import count_trials
from sweeps.document.spec import SweepSpec
from trainer.spec.followups import AnyRequest, resources_of
from trainer.spec.resources import Resources, Scheduling
from trainer.spec.spec import ExperimentSpec


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Who asks for what, since when it waits, why, and what the queue has told it to do.

    `gpus` and `cpus` are of all workers; of a sweep those of one trial, and `most_…` those of all that may
    run side by side. Times are aware UTC; `max_wait` and `max_duration` are seconds.
    """

    owner: str | None = None  # the name of the token that was shown; None where none was asked for
    project: str | None = None
    priority: int = 0
    preemptible: bool = False
    max_wait: int | None = None
    max_duration: int | None = None
    gpus: float = 0
    cpus: float = 0
    most_gpus: float = 0
    most_cpus: float = 0
    queued_at: datetime | None = None  # for the last time; None of rows from before there was this column
    admitted_at: datetime | None = None  # likewise: when its job was handed to the cluster
    wait_reason: dict[str, Any] | None = None
    preempt_requested_at: datetime | None = None
    timeout_requested_at: datetime | None = None
    pause_requested_at: datetime | None = None
    preemptions: int = 0


def demand_of(spec: ExperimentSpec) -> dict[str, Any]:
    """The columns of an experiment by itself."""
    return _said(spec.scheduling) | _taken(spec.resources, spec.resources, 1)


def demand_of_sweep(spec: SweepSpec, trials: Sequence[ExperimentSpec]) -> dict[str, Any]:
    """The columns of a sweep: it begins with one of its largest trials, the others take what is idle.

    Args:
        trials: as far as they are known.
    """
    sizes = [each.resources for each in trials] or [spec.base.resources]
    at_once = count_trials(spec)
    if spec.limits.concurrent_trials is not None:
        at_once = min(at_once, spec.limits.concurrent_trials)
    by_gpus = max(sizes, key=lambda size: size.workers * size.gpus_per_worker)
    by_cpus = max(sizes, key=lambda size: size.workers * size.cpus_per_worker)
    return _said(spec.scheduling) | _taken(by_gpus, by_cpus, at_once)


def demand_of_followup(request: AnyRequest, experiment: ExperimentSpec) -> dict[str, Any]:
    """The columns of a follow-up: in its experiment's project, of normal priority."""
    resources = resources_of(request, experiment.resources)
    return {"project": experiment.scheduling.project, **_taken(resources, resources, 1)}


def _said(words: Scheduling) -> dict[str, Any]:
    return words.model_dump()


def _taken(by_gpus: Resources, by_cpus: Resources, at_once: int) -> dict[str, Any]:
    gpus = by_gpus.workers * by_gpus.gpus_per_worker
    cpus = by_cpus.workers * by_cpus.cpus_per_worker
    return {"gpus": gpus, "cpus": cpus, "most_gpus": at_once * gpus, "most_cpus": at_once * cpus}
