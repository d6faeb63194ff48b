"""A sweep of the service through kills of a trial, its driver, the service and the whole cluster.

Each round posts the same sweep and kills each of them once, in an order and at moments that a seed draws.
`make campaign` does more rounds and keeps the counts: FAULT_ROUNDS, FAULT_SEED, FAULTS_WRITE.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import pytest

from service.local.data_dir import DataDir, read_processes
from service.shared.sweep_schemas import SweepPublic
from sweeps.results.table import Table
from tests.e2e.instance import Instance, until
from tests.factories import tiny_document
from tests.kept import keep_in
from trainer.results.report import read_report
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

pytestmark = pytest.mark.e2e

TRIALS = 4
DOCUMENT: dict[str, Any] = {
    "name": "faults",
    "base": tiny_document(method={"kind": "region_rebalance"}, schedule={"iterations": 300, "batch_size": 4}),
    "axes": [{"pointer": "/method/lambda", "grid": [0, 0.3]}],
    "seeds": [0, 1],
}
ROUND_SECONDS = 900.0


class Faulty:
    """A sweep of an instance as its storage shows it, whoever is alive; and what can be killed around it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        with instance.client() as client:
            self.id = client.submit_sweep(DOCUMENT).id
        self.storage = Storage.at(instance.data_dir / "storage")
        self.names = [trial_id(self.id, number) for number in range(TRIALS)]

    def ended(self) -> SweepPublic:
        with self.instance.client() as client:
            return until(
                lambda: one if (one := client.sweep(self.id)).ended_at else None,
                seconds=ROUND_SECONDS,
                what=f"{self.id} has ended",
            )

    def attempts(self, name: str) -> range:
        return range(1, self.storage.newest_attempt(name) + 1)

    def at(self, name: str, attempt: int) -> int:
        """The last iteration that an attempt has logged."""
        records = read_records(self.storage.attempt(name, attempt).metrics)
        return max((each["iteration"] for each in records if each["kind"] == "train"), default=0)

    def progress(self) -> int:
        """Iterations that all trials have behind them."""
        return sum(max((self.at(name, k) for k in self.attempts(name)), default=0) for name in self.names)

    def has_done(self, iterations: int) -> bool:
        return self.progress() >= iterations

    def resumed(self, name: str, attempt: int) -> int:
        """Where an attempt went on, 0 for one that began at the beginning."""
        records = read_records(self.storage.attempt(name, attempt).metrics)
        told = [each for each in records if each["kind"] == "event" and "resumed" in each["message"]]
        return int(told[0]["iteration"]) if told else 0

    def kill_trial(self) -> bool:
        return _kill_where(lambda title: "ray::WarmWorker.run" in title, self._of_ray())

    def kill_driver(self) -> bool:
        return _kill_where(lambda title: "sweeps.job" in title and self.id in title, psutil.process_iter())

    def kill_cluster(self) -> bool:
        self.instance.kill_part("ray")
        return True

    def kill_service(self) -> bool:
        self.instance.kill()
        self.instance.start()
        return True

    def _of_ray(self) -> list[psutil.Process]:
        _, records = read_processes(DataDir(self.instance.data_dir))
        found: list[psutil.Process] = psutil.Process(records["ray"].pid).children(recursive=True)
        return found


def _kill_where(wanted: Callable[[str], bool], processes: Any) -> bool:
    """Kills what is titled so; whether there was any."""
    found = False
    for process in processes:
        try:
            if wanted(" ".join(process.cmdline())):
                process.kill()
                found = True
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def untouched(instance: Instance) -> Faulty:
    """The same sweep without any fault."""
    sweep = Faulty(instance)
    assert sweep.ended().counts.completed == TRIALS
    return sweep


def test_kills_cost_time_and_nothing_else(instance: Instance, untouched: Faulty) -> None:
    """No trial is lost, run twice or begun again from nothing, and all weights are those without a fault."""
    rounds, seed = int(os.environ.get("FAULT_ROUNDS", "1")), int(os.environ.get("FAULT_SEED", "0"))
    draws = random.Random(seed)
    found = [one_round(instance, untouched, draws) for _ in range(rounds)]
    counts = {"rounds": rounds, "seed": seed, "trials": rounds * TRIALS}
    counts |= {name: sum(each[name] for each in found) for name in found[0]}
    print(json.dumps(counts))
    keep_in("FAULTS_WRITE", lambda kept: kept.update({"faults": counts}))


def one_round(instance: Instance, untouched: Faulty, draws: random.Random) -> dict[str, int]:
    """Kills everything once, checks what is left of the sweep, and counts what it cost."""
    sweep = Faulty(instance)
    kills: dict[str, Callable[[], bool]] = {
        "killed_trial": sweep.kill_trial,
        "killed_driver": sweep.kill_driver,
        "killed_cluster": sweep.kill_cluster,
        "killed_service": sweep.kill_service,
    }
    for name in draws.sample(sorted(kills), len(kills)):
        more = sweep.progress() + draws.randint(10, 100)
        until(partial(sweep.has_done, more), seconds=ROUND_SECONDS, what=f"it goes on before {name}")
        until(kills[name], seconds=ROUND_SECONDS, what=f"{name}: something to kill")
    ended = sweep.ended()
    assert ended.state == "completed", ended.error
    assert ended.counts.completed == TRIALS
    return dict.fromkeys(sorted(kills), 1) | {
        "completed": ended.counts.completed,
        **checked(sweep, untouched),
        "sweep_attempts": ended.attempt,
    }


def checked(sweep: Faulty, untouched: Faulty) -> dict[str, int]:
    """The sweep beside the untouched one: equal in all but the attempts that it took."""
    import torch

    attempts, repeated, equal = 0, 0, 0
    assert {path.name for path in (sweep.storage.root / "runs").glob(f"{sweep.id}-*")} == set(sweep.names)
    for name, other in zip(sweep.names, untouched.names, strict=True):
        reports = [read_report(sweep.storage.attempt(name, k).report) for k in sweep.attempts(name)]
        assert [one.state for one in reports if one is not None].count("completed") == 1
        assert reports[-1] is not None
        assert reports[-1].state == "completed"
        attempts += len(reports)
        for k in sweep.attempts(name)[1:]:
            repeated += max(0, max(sweep.at(name, j) for j in range(1, k)) - sweep.resumed(name, k))
        mine, theirs = (
            torch.load(sweep.storage.checkpoints(each).local / "final.pth", weights_only=True)["state_dict"]
            for each in (name, other)
        )
        equal += all(torch.equal(mine[key], theirs[key]) for key in theirs) and mine.keys() == theirs.keys()
    assert equal == TRIALS, "weights differ from those of the sweep that was left alone"
    tables = [
        Table.model_validate_json(each.storage.sweep(each.id).table.read_text())
        for each in (sweep, untouched)
    ]
    assert tables[0] == tables[1]
    return {
        "attempts": attempts,
        "iterations_repeated": repeated,
        "weights_equal": equal,
        "mlflow_runs": mlflow_runs(sweep),
    }


def mlflow_runs(sweep: Faulty) -> int:
    """Runs below the sweep's own; each trial has one, and all are finished."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=sweep.instance.endpoints.mlflow)
    groups = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(groups, f"tags.`rebalance.sweep` = '{sweep.id}'")
    below = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(below) == len(runs) - 1 == TRIALS
    assert {run.info.status for run in runs} == {"FINISHED"}
    return len(below)
