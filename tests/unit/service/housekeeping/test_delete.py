"""Deleting with artifacts: whole or not at all, also where something dies in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.housekeeping.delete import Deletion
from service.reconcile.cluster import RunFact
from service.shared.states import State
from service.store.new_rows import new_sweep, trial_row
from service.store.records import Conflict, StoreUnavailable, Sweep, UnknownExperiment
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import START, World
from tests.unit.service.sweep_job import sweep_document
from trainer.storage.deleted import Doomed


@pytest.fixture
def deletion(world: World) -> Deletion:
    world.add(state=State.COMPLETED, mlflow_run_id="m1")
    leave_checkpoints(world.settings.layout, "e1")
    return Deletion(world.store, world.settings.layout, world.runs)


def test_the_row_alone(world: World, deletion: Deletion) -> None:
    """Files and MLflow's run stay unless they are meant, and carry no mark."""
    gone = deletion.experiment("e1", artifacts=False, now=START)
    assert (gone.artifacts, gone.left) == (False, ())
    assert world.settings.layout.checkpoints("e1").names()
    assert not Doomed(world.settings.layout.experiment("e1")).mark.exists()
    assert world.runs.facts == {}


def test_with_artifacts(world: World, deletion: Deletion) -> None:
    gone = deletion.experiment("e1", artifacts=True, now=START)
    assert (gone.artifacts, gone.left) == (True, ())
    assert not world.settings.layout.experiment("e1").exists()
    assert world.runs.facts == {"m1": RunFact.DELETED}
    with pytest.raises(UnknownExperiment):
        deletion.experiment("e1", artifacts=True, now=START)


def test_what_is_refused_loses_nothing(world: World, deletion: Deletion) -> None:
    """Somebody was faster and began it again: the mark goes, all else is as it was."""
    world.add("e2", state=State.FAILED)
    removed = world.store.removals.experiment
    before = world.settings.layout.experiment("e1").files()

    def late(identifier: str, **told: object) -> object:
        raise Conflict("retried just now")

    world.store.removals.experiment = late  # type: ignore[method-assign, assignment]
    for identifier in ("e1", "e2"):
        with pytest.raises(Conflict, match="retried just now"):
            deletion.experiment(identifier, artifacts=True, now=START)
    assert world.settings.layout.experiment("e1").files() == before
    assert not world.settings.layout.experiment("e2").exists()
    assert world.runs.facts == {}
    world.store.removals.experiment = removed  # type: ignore[method-assign]


def test_where_nobody_knows_whether_the_rows_went_the_mark_stays(world: World, deletion: Deletion) -> None:
    """The database was lost as it answered: `rebalance gc` looks later."""

    def lost(identifier: str, **told: object) -> object:
        raise StoreUnavailable("connection lost")

    world.store.removals.experiment = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        deletion.experiment("e1", artifacts=True, now=START)
    assert Doomed(world.settings.layout.experiment("e1")).mark.exists()
    assert world.settings.layout.checkpoints("e1").names()


def test_of_two_deletions_the_slower_leaves_the_marks(world: World, deletion: Deletion) -> None:
    """MLflow is away, so that the faster one could not finish: its mark is what `rebalance gc` goes by."""
    world.runs.down = True
    removed = world.store.removals.experiment

    def overtaken(identifier: str, **told: Any) -> object:
        world.store.removals.experiment = removed  # type: ignore[method-assign]
        deletion.experiment(identifier, artifacts=True, now=START)
        return removed(identifier, **told)

    world.store.removals.experiment = overtaken  # type: ignore[method-assign, assignment]
    with pytest.raises(UnknownExperiment):
        deletion.experiment("e1", artifacts=True, now=START)
    assert Doomed(world.settings.layout.experiment("e1")).mark.exists()


def test_without_mlflow_the_rest_is_left_marked(world: World, deletion: Deletion) -> None:
    """The rows are gone, which is said; the folder still knows its run, and goes once MLflow answers."""
    world.runs.down = True
    gone = deletion.experiment("e1", artifacts=True, now=START)
    (told,) = gone.left
    assert told.startswith("MLflow run m1 and runs/e1: ")
    assert "MLflow is down" in told
    here = Doomed(world.settings.layout.experiment("e1"))
    assert here.mark.exists()
    world.runs.down = False
    assert deletion.finish(here) is None
    assert not here.folder.exists()
    assert world.runs.facts == {"m1": RunFact.DELETED}


def test_mlflow_is_told_how_it_ended_before_nobody_knows(world: World) -> None:
    """Its run would stay RUNNING for good; while MLflow is away the row stays, unless all is to go."""
    world.runs.down = True
    for name in ("due", "also"):
        world.add(name, state=State.FAILED, mlflow_run_id=f"m-{name}", mlflow_status_due="FAILED")
    deletion = Deletion(world.store, world.settings.layout, world.runs)
    with pytest.raises(Conflict, match="still to be told how run m-due ended: MLflow is down; it can be"):
        deletion.experiment("due", artifacts=False, now=START)
    assert world.state("due") is State.FAILED
    assert deletion.experiment("also", artifacts=True, now=START).left
    world.runs.down = False
    deletion.experiment("due", artifacts=False, now=START)
    assert world.runs.closed == {"m-due": "FAILED"}


def test_so_is_it_of_a_sweep_with_its_trials(world: World) -> None:
    """As many as a request may last for; of more the reconciler tells first."""
    sweep = ended_sweep(world, mlflow_run_id="m-all", mlflow_status_due="FINISHED")
    trials = world.store.trials(sweep.id)
    with world.store._database.writing() as connection:
        for row in trials[:2]:
            changes = {"mlflow_run_id": f"m-{row.trial}", "mlflow_status_due": "KILLED"}
            world.store.write(connection, row.id, **changes)
    deletion = Deletion(world.store, world.settings.layout, world.runs)
    deletion.sweep(sweep.id, artifacts=False, now=START)
    assert world.runs.closed == {"m-0": "KILLED", "m-1": "KILLED", "m-all": "FINISHED"}
    many = [
        replace(row, mlflow_run_id=f"m-{n}", mlflow_status_due="KILLED") for n, row in enumerate(trials * 30)
    ]
    with pytest.raises(Conflict, match="how 120 runs ended"):
        deletion._end_runs(many)


def ended_sweep(world: World, **changes: Any) -> Sweep:
    """One that completed, with trials that did."""
    spec = parse_sweep(sweep_document())
    new = replace(new_sweep(spec, now=START, key=None, request_hash="h"), state=State.COMPLETED, **changes)
    trials = [trial_row(new, each.number, each.row, each.spec, START) for each in expand(spec)]
    return world.store.sweeps.create(new, [(replace(row, state=State.COMPLETED), {}) for row in trials])
