"""Why something waits, in its own document: live while it does, gone when it goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.api.views.waiting import Queue
from service.shared.schemas import WaitingPublic
from service.shared.states import State
from service.store.new_rows import new_sweep, trial_row
from service.store.records import Experiment
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.data_factories import spec_document
from tests.unit.service.conftest import START, TestClient, World, statements
from tests.unit.service.sweep_job import sweep_document
from trainer.storage.waiting import waiting


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 10.0  # nothing that was asked before is still fresh
        return self.seconds


@pytest.fixture
def queue(world: World) -> Queue:
    return Queue(world.store, world.settings, clock=Clock())


def why(queue: Queue, world: World, identifier: str) -> WaitingPublic | None:
    return queue.of_experiment(world.store.get(identifier))


def told(found: WaitingPublic | None) -> tuple[str, str]:
    assert found is not None
    return found.code, found.reason


def test_places_are_taken(world: World, queue: Queue) -> None:
    """Queued behind as many as may run, with their number; not before, and not after."""
    most = world.settings.max_running
    for number in range(most + 1):
        world.add(f"e{number}", created_at=START + timedelta(seconds=number))
    assert why(queue, world, "e0") is None
    world.step()
    last = f"e{most}"
    found = why(queue, world, last)
    assert told(found) == ("max_running", f"{most} of {most} are running")
    assert found is not None
    assert found.since == START + timedelta(seconds=most)
    assert why(queue, world, "e0") is None
    world.store.request_cancel("e0", now=world.now)
    for _ in range(3):
        world.step(10)
    assert world.state(last) is State.SUBMITTED
    assert why(queue, world, last) is None


def test_ray_is_away(world: World, queue: Queue) -> None:
    """Since the pass that found it so, and no longer than until it answers."""
    world.backend.down = True
    world.add()
    world.step()
    since = world.now
    for _ in range(3):
        world.step()
    found = why(queue, world, "e1")
    assert told(found) == ("unreachable", "Ray cannot be reached: the cluster is down")
    assert found is not None
    assert found.since == since
    world.backend.down = False
    world.step()
    assert world.state() is State.SUBMITTED
    assert why(queue, world, "e1") is None
    world.step()
    world.add("e2")
    assert why(queue, world, "e2") is None


def test_what_the_job_says(world: World, queue: Queue) -> None:
    """Of this attempt, while it has a job; what a killed job has left is not taken for the truth."""
    row = world.add()
    world.step()
    here = world.settings.layout.attempt("e1", 1).waiting
    with waiting(here, "nodes", "/resources asks for 1 GPU, the cluster has 0", "it may grow"):
        assert told(why(queue, world, "e1")) == ("nodes", "/resources asks for 1 GPU, the cluster has 0")
        left = here.read_bytes()
    assert why(queue, world, "e1") is None
    here.write(left)
    ended: Experiment = world.store.transition(
        world.store.get(row.id), to=State.CANCELLED, reason="by hand", now=world.now
    )
    assert queue.of_experiment(ended) is None


def test_trials_wait_for_their_sweep(world: World, queue: Queue) -> None:
    """For what the sweep waits for, a pause before all else; where it runs, for their turn."""
    spec = parse_sweep(sweep_document())
    sweep = new_sweep(spec, now=START, key=None, request_hash="h")
    rows = [(trial_row(sweep, each.number, each.row, each.spec, START), {}) for each in expand(spec)]
    world.store.sweeps.create(sweep, rows)
    trial = f"{sweep.id}-0000"
    world.backend.down = True
    world.step()
    assert told(why(queue, world, trial))[0] == "unreachable"
    found = queue.of_sweep(replace(world.store.sweeps.get(sweep.id), paused=True))
    assert told(found) == ("paused", f"sweep {sweep.id} is paused")
    world.settings.layout.sweep(sweep.id).pause.write("")
    assert told(why(queue, world, trial))[0] == "paused"
    world.settings.layout.sweep(sweep.id).pause.delete()
    world.backend.down = False
    world.step()
    assert queue.of_sweep(world.store.sweeps.get(sweep.id)) is None
    assert told(why(queue, world, trial)) == (
        "sweep",
        f"its sweep {sweep.id} begins its trials as it finds places for them",
    )


def test_documents_have_it(client: TestClient) -> None:
    """Experiments, sweeps and follow-ups; the list asks the database once for all that wait."""
    for _ in range(3):
        client.post("/experiments", json=spec_document())
    sweep = client.post("/sweeps", json=sweep_document()).json()
    for address in (f"/sweeps/{sweep['id']}", f"/experiments/{sweep['id']}-0000"):
        assert "waiting" in client.get(address).json()
    paused = client.post(f"/sweeps/{sweep['id']}/pause").json()
    assert paused["waiting"]["would_run"] == f"once it is resumed: rebalance sweep resume {sweep['id']}"
    with statements() as asked:
        items = client.get("/experiments?limit=200").json()["items"]
    assert len(items) > 3
    assert all("waiting" in item for item in items)
    assert len([each for each in asked if "count(" in each.lower()]) <= 3
