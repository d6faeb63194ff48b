"""Deleting with artifacts: whole or not at all, also where something dies in between."""

from __future__ import annotations

from typing import Any

import pytest

from service.housekeeping.delete import Deletion
from service.reconcile.cluster import RunFact
from service.shared.states import State
from service.store.records import Conflict, StoreUnavailable, UnknownExperiment
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import START, World
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
