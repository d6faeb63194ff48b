"""What a job notices becomes an event once, and is shown with the experiment."""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.shared.settings import Settings
from service.shared.states import State
from tests.data_factories import make_report
from tests.unit.service.conftest import Cluster, World
from tests.unit.service.sweep_job import sweep_document
from trainer.storage.notices import Notice, add_notice

VOID = Notice(code="void", text="60 % of all pixels are void", hint="label_map")
LOST = Notice(code="pictures", text="3 pictures are grey")


def notice(world: World, said: Notice, attempt: int = 1, identifier: str = "e1") -> None:
    add_notice(world.settings.layout.attempt(identifier, attempt), said)


def running(world: World) -> None:
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()


def test_a_notice_becomes_an_event_without_a_change_of_state(world: World) -> None:
    """From and to are the state it was noticed in; the reason has text and hint; the row keeps it."""
    running(world)
    notice(world, VOID)
    world.step()
    world.step()
    event = world.store.history("e1", after=0, limit=100)[0][-1]
    assert (event.from_state, event.to_state) == (State.RUNNING, State.RUNNING)
    assert event.reason == "60 % of all pixels are void; hint: label_map"
    assert world.reasons().count(event.reason) == 1
    assert world.store.get("e1").notices == [VOID.model_dump()]


def test_neither_a_restart_nor_another_attempt_doubles_it(world: World, settings: Settings) -> None:
    """A reconciler that begins anew, and an attempt that notices the same, add nothing; news are added."""
    running(world)
    notice(world, VOID)
    world.step()
    again = World(settings, world.store, world.backend, now=world.now)
    again.step()
    again.backend.lose("e1-1")
    again.step()
    again.step(10)
    again.step()
    again.backend.run("e1-2")
    notice(again, VOID, attempt=2)
    notice(again, LOST, attempt=2)
    again.step()
    assert again.reasons().count(str(VOID)) == 1
    assert again.reasons().count(str(LOST)) == 1
    assert again.store.get("e1").attempt == 2
    assert again.store.get("e1").notices == [VOID.model_dump(), LOST.model_dump()]


def test_what_was_noticed_last_is_told_before_the_end(world: World) -> None:
    """A job that noticed something and ended between two passes: the event comes before the last one."""
    running(world)
    notice(world, LOST)
    world.leave_report(make_report())
    world.backend.finish("e1-1")
    world.step()
    assert world.state() is State.COMPLETED
    assert world.reasons()[-2:] == [str(LOST), "report with a result"]


def test_trials_of_a_sweep_have_their_own(client: TestClient, cluster: Cluster) -> None:
    """What a trial noticed is an event of it, while it runs and at its end; the others have none."""
    sweep = client.post("/sweeps", json=sweep_document()).json()["id"]
    job = cluster.job(sweep)
    job.begin(0)
    add_notice(cluster.settings.layout.attempt(job.id(0), 1), VOID)
    cluster.step()
    add_notice(cluster.settings.layout.attempt(job.id(0), 1), LOST)
    job.complete(0)
    job.complete(1)
    cluster.step()
    cluster.step()
    first = client.get(f"/experiments/{job.id(0)}").json()
    assert (first["state"], [each["text"] for each in first["notices"]]) == (
        "completed",
        [VOID.text, LOST.text],
    )
    events = client.get(f"/experiments/{job.id(0)}/events").json()["items"]
    assert [each["reason"] for each in events if each["from"] == each["to"]] == [str(VOID), str(LOST)]
    assert client.get(f"/experiments/{job.id(1)}").json()["notices"] == []


def test_a_sweep_has_notices_of_its_own(client: TestClient, cluster: Cluster) -> None:
    """A sweep's job notices like an experiment's: in the sweep's events and in what is shown of it."""
    sweep = client.post("/sweeps", json=sweep_document()).json()["id"]
    cluster.job(sweep)
    add_notice(cluster.settings.layout.sweep(sweep).attempt(1), LOST)
    cluster.step()
    cluster.step()
    assert client.get(f"/sweeps/{sweep}").json()["notices"] == [LOST.model_dump()]
    reasons = [each["reason"] for each in client.get(f"/sweeps/{sweep}/events").json()["items"]]
    assert reasons.count(str(LOST)) == 1
