"""Runs that are killed with SIGKILL at random steps end with the weights of one left alone, bit for bit.

KILLS=20 for a campaign; KILLS_WRITE=FILE keeps what was counted.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import tiny_plan
from tests.integration import killed_rank
from tests.kept import keep_in
from trainer.plan import Plan
from trainer.storage.checkpoints import find_checkpoint

KILLS = int(os.environ.get("KILLS", "1"))  # of each run
SECONDS = 300
ITERATIONS = max(12, 6 * KILLS)  # enough that most of a campaign's kills meet a run in its midst
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "bf16 accumulated averaged": (1, {"precision": "bf16", "accumulate": 2, "ema": 0.9}),
    "two workers accumulated averaged": (2, {"accumulate": 2, "ema": 0.9, "clip_gradient_norm": 5.0}),
}


@contextmanager
def started(plan: Plan, directory: Path, repository: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """All ranks of the plan, killed at the end of the block where they still run."""
    rendezvous, plan_file = directory / f"rendezvous-{random.getrandbits(64)}", directory / "plan.json"
    plan_file.write_text(plan.model_dump_json())
    world = plan.spec.resources.workers
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(Path(killed_rank.__file__)), str(rank), str(world), rendezvous, plan_file],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        yield ranks
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
            assert rank.stdout is not None
            rank.stdout.close()


def finish(plan: Plan, directory: Path, repository: Path) -> dict[str, torch.Tensor]:
    """Lets the run end; the weights it leaves."""
    with started(plan, directory, repository) as ranks:
        assert [rank.wait(SECONDS) for rank in ranks] == [0] * len(ranks)
    path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def kill_at(plan: Plan, directory: Path, repository: Path, iteration: int) -> int:
    """Runs until rank 0 has done `iteration` steps more or the run has ended, then kills every rank."""
    done = 0
    with started(plan, directory, repository) as ranks:
        assert ranks[0].stdout is not None
        for line in ranks[0].stdout:
            done = int(line) if line.strip().isdigit() else done
            iteration -= 1
            if not iteration:
                break
    return done


@pytest.mark.parametrize("name", list(CASES))
def test_killed_at_random_steps(tmp_path: Path, repository: Path, name: str) -> None:
    """Each run is killed KILLS times at seeded steps, wherever it is by then."""
    world, words = CASES[name]
    schedule = {"iterations": ITERATIONS, "batch_size": 4, "learning_rate": 0.1, **words}
    common: dict[str, Any] = {
        "method": "region_rebalance",
        "schedule": schedule,
        "resources": {"workers": world},
        "evaluation": {"interval": 4},
    }
    expected = finish(tiny_plan(tmp_path, experiment="whole", **common), tmp_path, repository)
    chance, at = random.Random(name), []
    plan = tiny_plan(tmp_path, experiment="killed", **common)
    for _ in range(KILLS):
        farthest = max(4, 3 * plan.checkpoint_interval // 2)  # most come before the next checkpoint
        at.append(kill_at(plan, tmp_path, repository, chance.randint(1, farthest)))
    state = finish(plan, tmp_path, repository)
    different = [key for key in expected if not torch.equal(state[key], expected[key])]
    assert not different
    _keep(name, at)


def test_killed_after_a_best_evaluation(tmp_path: Path, repository: Path) -> None:
    """Killed as soon as best.pth is there, and resumed: the best is that of a run left alone, to the bit."""
    words: dict[str, Any] = {
        "method": "region_rebalance",
        "schedule": {"iterations": ITERATIONS, "batch_size": 4, "learning_rate": 0.1},
        "evaluation": {"interval": 2},
    }
    whole = tiny_plan(tmp_path, experiment="undisturbed", **words)
    expected = finish(whole, tmp_path, repository)
    plan = tiny_plan(tmp_path, experiment="killed-at-best", **words)
    best = plan.layout.file(plan.layout.best_checkpoint(plan.experiment))
    with started(plan, tmp_path, repository) as (rank,):
        pause, end = threading.Event(), time.monotonic() + SECONDS
        while not best.exists():
            assert rank.poll() is None
            assert time.monotonic() < end
            pause.wait(0.001)
    state = finish(plan, tmp_path, repository)
    assert not [key for key in expected if not torch.equal(state[key], expected[key])]
    meant = [find_checkpoint(each.layout, each.experiment, "best") for each in (whole, plan)]
    assert meant[0].iteration == meant[1].iteration
    assert meant[0].score == meant[1].score
    left, right = (torch.load(plan.layout.file(each.file).local, weights_only=True) for each in meant)
    assert not [
        key for key, value in left["state_dict"].items() if not torch.equal(right["state_dict"][key], value)
    ]
    assert not list(best.local.parent.glob(".*"))


def _keep(name: str, at: list[int]) -> None:
    """What was counted, where a campaign asks for it."""
    counts = {
        "iterations": ITERATIONS,
        "kills": len(at),
        "last_iteration_before_each": at,
        "weights": "equal, bit for bit",
    }
    keep_in("KILLS_WRITE", lambda kept: kept.update({name: counts}))
