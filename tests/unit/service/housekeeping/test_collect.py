"""What is taken away, on a real directory and over HTTP."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.cli.keeping import commands
from service.cli.main import main
from service.housekeeping.delete import Deletion
from service.housekeeping.gc.collect import collect
from service.reconcile.cluster import RunFact
from service.shared.keeping.gc_schemas import GcItem, GcPublic
from service.shared.keeping.retention import GcRequest, Kind, Retention
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.new_rows import new_followup
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import START, TestClient, World, new_row
from tests.unit.service.followup_job import request
from tests.unit.service.served import Service

NAMES = ("iter_500", "iter_1000", "best", "final")
LATER = START + timedelta(days=40)
MONTH = GcRequest(older_than=30 * 86_400).ages(Retention().ages())


@pytest.fixture
def deletion(world: World) -> Deletion:
    for name in ("e1", "kept", "read", "live"):
        state = State.RUNNING if name == "live" else State.COMPLETED
        ended = None if name == "live" else START
        row = new_row(name, state=state, ended_at=ended)
        world.store.create(row, new_tags={"keep": "paper"} if name == "kept" else {})
        leave_checkpoints(world.settings.layout, name, NAMES)
    reading = new_followup("read", request(), now=START, key=None, request_hash="h")
    world.store.followups.create(reading)
    return Deletion(world.store, world.settings.layout, world.runs)


def names(world: World, experiment: str) -> list[str]:
    return world.settings.layout.checkpoints(experiment).names()


def test_a_dry_run_changes_nothing(world: World, deletion: Deletion) -> None:
    before = world.settings.layout.folder.files()
    found = collect(deletion, MONTH, LATER, dry_run=True)
    assert {each.action.thing.path for each in found.outcomes} == {
        "runs/e1/checkpoints/iter_1000.pth",
        "runs/e1/checkpoints/iter_500.pth",
    }
    assert not any(each.done for each in found.outcomes)
    assert world.settings.layout.folder.files() == before


def test_what_is_in_use_stays(world: World, deletion: Deletion) -> None:
    """What goes on, what is tagged, what a follow-up reads; and the weights to deploy."""
    found = collect(deletion, MONTH, LATER, dry_run=False)
    assert all(each.done for each in found.outcomes)
    assert names(world, "e1") == ["best.pth", "final.pth"]
    for other in ("kept", "read", "live"):
        assert len(names(world, other)) == 4
    assert collect(deletion, MONTH, LATER, dry_run=False).outcomes == ()


def test_what_was_begun_again_meanwhile_stays(
    world: World, deletion: Deletion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between plan and deed a row is asked for once more."""
    real = deletion.store.standings.of
    seen: list[object] = []

    def of(ids: Any = None) -> Any:
        found = real(ids)
        seen.append(ids)
        if ids is None:
            with world.store._database.writing() as connection:
                world.store.write(connection, "e1", state=State.QUEUED)
        return found

    monkeypatch.setattr(deletion.store.standings, "of", of)
    assert collect(deletion, MONTH, LATER, dry_run=False).outcomes == ()
    assert len(names(world, "e1")) == 4
    assert len(seen) == 3


def test_time_is_limited(world: World, deletion: Deletion) -> None:
    """What is not done yet is said, and done by the next call."""
    ticks = iter(range(0, 10_000, 15))
    found = collect(deletion, MONTH, LATER, dry_run=False, clock=lambda: float(next(ticks)))
    assert found.more
    assert [each.done for each in found.outcomes] == [True, False]
    rest = collect(deletion, MONTH, LATER, dry_run=False)
    assert not rest.more
    assert [each.done for each in rest.outcomes] == [True]


def test_what_deletions_left_is_finished(world: World, deletion: Deletion) -> None:
    """MLflow was away: run and folder go together, once it answers."""
    world.runs.down = True
    world.add("e9", state=State.FAILED, mlflow_run_id="m9")
    leave_checkpoints(world.settings.layout, "e9")
    assert deletion.experiment("e9", artifacts=True, now=START).left
    rules = Retention().ages()
    (first,) = collect(deletion, rules, LATER, dry_run=False).outcomes
    assert (first.done, "MLflow is down" in (first.trouble or "")) == (False, True)
    world.runs.down = False
    (second,) = collect(deletion, rules, LATER, dry_run=False).outcomes
    assert second.done
    assert "m9" in world.runs.facts
    assert not world.settings.layout.experiment("e9").exists()


def test_what_mlflow_has_in_its_bin(world: World, deletion: Deletion) -> None:
    """What a deleted run had logged goes after its time; where MLflow cannot be asked, that is said."""
    for name, ended in (("old", START), ("young", LATER)):
        world.add(name, state=State.COMPLETED, ended_at=ended, mlflow_run_id=f"m-{name}")
        world.runs.facts[f"m-{name}"] = RunFact.DELETED
    world.add("there", state=State.COMPLETED, ended_at=START, mlflow_run_id="m-there")
    world.runs.logged = {"m-old": 500, "m-young": 500, "m-there": 500, "m-of-others": 500}
    only = GcRequest(older_than=30 * 86_400, only=(Kind.MLFLOW,)).ages({})
    (action,) = collect(deletion, only, LATER, dry_run=True).outcomes
    assert (action.action.thing.path, action.action.frees) == ("mlflow/m-old", 500)
    assert "old ended 40 d ago" in action.action.reason
    world.runs.down = True
    assert collect(deletion, only, LATER, dry_run=True).trouble == "MLflow is down"
    world.runs.down = False
    assert all(each.done for each in collect(deletion, only, LATER, dry_run=False).outcomes)
    assert set(world.runs.logged) == {"m-young", "m-there", "m-of-others"}


def test_over_http(client: TestClient, migrated: Settings) -> None:
    """A dry run, then the same for good; on record; what cannot be meant is told."""
    old = migrated.layout.folder.local / "runs" / "e1" / "1" / ".reserve"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(1000))
    for name in ("orphan", "young", "lent"):
        migrated.layout.attempt(name, 1).log.write("lines\n")
    for each in (old, migrated.layout.attempt("orphan", 1).log.local):
        for path in (each, each.parents[1]):
            os.utime(path, (0, 0))
    # A new experiment whose row is about to be stored: its checkpoint is another's, and as old as that.
    os.utime(migrated.layout.attempt("lent", 1).log.local, (0, 0))
    sent = {"older_than": "1d", "dry_run": True}
    first = client.post("/admin/gc", json=sent).json()
    assert {each["path"]: each["done"] for each in first["items"]} == {"runs/e1": False, "runs/orphan": False}
    assert (first["bytes"], first["more"]) == (1006, False)
    second = client.post("/admin/gc", json={"older_than": "1d"}).json()
    assert all(each["done"] for each in second["items"])
    assert second["kinds"] == [{"kind": "orphans", "number": 2, "bytes": 1006}]
    assert migrated.layout.experiments.names() == ["lent", "young"]
    (deed,) = client.get("/audit").json()["items"]
    assert (deed["action"], deed["detail"]) == ("gc", "2 orphans; 1,006 bytes")
    refused = check_problem(client.post("/admin/gc", json={"only": ["weights"], "older": 3}), 422)
    assert {each["pointer"] for each in refused["errors"]} == {"/only/0", "/older"}


def test_the_command(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what would go, how much that frees, and why; then takes it away."""
    store = Store(service.settings.database)
    store.create(new_row("g1", state=State.COMPLETED, ended_at=START), new_tags={})
    store.close()
    leave_checkpoints(service.settings.layout, "g1", NAMES)
    base = ["gc", "--api", service.url, "--older-than", "1d", "--only", "checkpoints"]
    assert main([*base, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "to resume from; g1 ended" in " ".join(told.split())
    assert "2 things would go, which frees" in told
    assert main(base) == 0
    assert "2 things went" in capsys.readouterr().out
    assert service.settings.layout.checkpoints("g1").names() == ["best.pth", "final.pth"]
    assert main([*base, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == []
    assert main(["gc", "--api", service.url, "--older-than", "soon"]) == 2
    assert "/older_than" in capsys.readouterr().err


def test_the_command_ends_where_nothing_can_be_done() -> None:
    """What is in the way took all of a call's time: the next call would only meet it again."""
    action = {"kind": Kind.DELETED, "path": "runs/e1", "of": "e1", "bytes": 1, "reason": "", "done": False}
    stuck = GcItem(**action, trouble="MLflow is down")
    answers = iter([GcPublic(dry_run=False, kinds=(), bytes=0, items=(stuck,), more=True)])
    client: Any = SimpleNamespace(gc=lambda **asked: next(answers))
    assert commands.gc(Namespace(dry_run=False, older_than=None, only=[], json=True), client) == 1


def test_the_delete_command(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It wants to be sure; then row and files are gone, and `audit` has it."""
    store = Store(service.settings.database)
    store.create(new_row("d1", state=State.FAILED), new_tags={})
    store.close()
    leave_checkpoints(service.settings.layout, "d1")
    with (tmp_path / "nothing").open("w+") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["delete", "d1", "--api", service.url]) == 2
    assert "--yes: is missing" in capsys.readouterr().err
    assert main(["delete", "d1", "--api", service.url, "--artifacts", "--yes"]) == 0
    assert "d1: the experiment is deleted with its artifacts" in capsys.readouterr().out
    assert not service.settings.layout.experiment("d1").exists()
    assert main(["delete", "d1", "--api", service.url, "--yes"]) == 2
    assert "it was deleted at" in capsys.readouterr().err
    assert main(["audit", "--api", service.url, "--subject", "d1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["action"] == "delete"
