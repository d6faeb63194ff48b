"""An experiment's run in MLflow, as clients see it: what is missing there, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.api.views.mlflow_facts import RunFacts
from service.reconcile.cluster import RunFact
from service.reconcile.track_requests import pending_try
from service.shared.schemas import TrackingPublic
from service.shared.settings import Settings
from service.shared.states import State
from service.store.records import Experiment, JobRow
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile
from trainer.storage.tracking import TrackingRecord, read_record

_LOST = {RunFact.DELETED: "has deleted this experiment's run", RunFact.GONE: "has no run of this experiment"}


def tracking_public(row: Experiment, settings: Settings, facts: RunFacts) -> TrackingPublic | None:
    """What MLflow has of it; None without an MLflow, and before there is anything to send."""
    if settings.mlflow_uri is None:
        return None
    runs = runs_in([settings.layout.mlflow_run(row.id)])
    fact = next(iter(facts.of(runs).values()), None)
    record = read_record(settings.layout.tracked(row.id).record)
    sending = row.state.ended and pending_try(settings.layout, row) is not None
    return tracking_of(row, record, fact, noted=bool(runs), sending=sending)


def tracking_of(
    row: Experiment, record: TrackingRecord | None, fact: RunFact | None, *, noted: bool, sending: bool
) -> TrackingPublic | None:
    """What follows for the reader from what is known.

    Args:
        record: what the experiment's jobs have noted last.
        fact: what MLflow says of its run, None where it does not answer.
        noted: whether a run of it was made.
        sending: whether a job is to send everything again.
    """
    lost = _LOST.get(fact) if fact is not None else None
    if lost is None and not noted and record is None:
        if row.state is not State.COMPLETED:
            return None
        lost = "was sent nothing of this experiment"
    hint = _hint(row, sending=sending)
    if record is not None and record.behind:
        return TrackingPublic(state="behind", detail=record.text, sending=sending, hint=hint)
    if lost is not None:
        return TrackingPublic(state="missing", detail=f"MLflow {lost}", sending=sending, hint=hint)
    return TrackingPublic(state="ok", sending=sending)


def _hint(row: Experiment, *, sending: bool) -> str | None:
    if sending:
        return None
    if not row.state.ended:
        return "its job sends what is missing once MLflow takes it, at its end at the latest"
    return f"rebalance track {row.id}"


def runs_in(notes: Iterable[StoredFile]) -> dict[str, str]:
    """The runs that the mlflow.json files of experiments or sweeps name, for `RunFacts.of`."""
    found = [mlflow_ids(note) for note in notes]
    return {ids["run_id"]: ids["experiment_id"] for ids in found if {"run_id", "experiment_id"} <= ids.keys()}


def mlflow_page(
    row: JobRow, settings: Settings, note: Callable[[], StoredFile], facts: RunFacts
) -> str | None:
    """The run's page in MLflow's own interface, if it is a server and the run is there, as far as is known.

    Args:
        note: gives the mlflow.json of an experiment or sweep.
    """
    server = settings.mlflow_pages
    if server is None or row.mlflow_run_id is None or not (runs := runs_in([note()])):
        return None
    ((run_id, group),) = runs.items()
    if facts.of(runs).get(run_id) in _LOST:
        return None
    # Asked for nothing, MLflow 3 shows its pages for language models, without a list of training runs.
    return f"{server}/#/experiments/{group}/runs/{run_id}?workflowType=machine_learning"
