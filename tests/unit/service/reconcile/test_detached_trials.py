"""What a trial that was retried alone still has of its sweep: its place in MLflow."""

from __future__ import annotations

import json

import pytest

from service.reconcile.retry_on_request import retry
from sweeps.driver.mlflow_parent import ParentRun
from tests.factories import tiny_document
from tests.unit.service.conftest import World
from tests.unit.service.reconcile.test_sweep_reconcile import running
from tests.unit.service.sweep_job import SweepJob, sweep_document
from trainer.job import main


def retried(world: World, *, parent: str | None) -> tuple[SweepJob, list[str]]:
    """A sweep whose trial 1 never ran before it was retried, and the command that its own job was given."""
    job = running(world, sweep_document(base=tiny_document(method="region_rebalance")))
    layout = world.settings.layout
    if parent is not None:
        layout.sweep(job.sweep).mlflow.write(json.dumps({"run_id": parent, "experiment_id": "1"}))
    job.end()
    world.step()
    retry(world.store, layout, world.store.get(job.id(1)), world.now)
    world.step()
    return job, list(world.backend.jobs[f"{job.id(1)}-2"].command)


@pytest.mark.parametrize("parent", ["p1", None])
def test_its_run_lies_below_the_sweeps(
    world: World, parent: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own job tags the run as the sweep's driver would, also where the sweep had none in MLflow."""
    job, command = retried(world, parent=parent)
    assert main([*command[3:], "--plan-only"]) == 0
    tags = json.loads(capsys.readouterr().out)["mlflow_tags"]
    assert tags == ParentRun(job.spec, job.sweep, job.storage, None).tags_of(job.trial(1).row)
    assert tags.get("mlflow.parentRunId") == parent
    assert tags["rebalance.row"] == "lambda=0.3"


def test_no_other_job_has_tags(world: World) -> None:
    """An experiment without a sweep is nobody's child."""
    world.add()
    world.step()
    assert not any("--mlflow-tag" in word for word in world.backend.jobs["e1-1"].command)


@pytest.mark.parametrize("tag", ["key", "=value", ""])
def test_a_tag_has_a_key_and_a_value(tag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The job refuses others, with what is allowed."""
    with pytest.raises(SystemExit) as caught:
        main(["--spec", "spec.json", f"--mlflow-tag={tag}"])
    assert caught.value.code == 2
    assert "allowed: KEY=VALUE" in capsys.readouterr().err
