"""The first 20 steps of every method through the real training loop, against curves kept in tests/golden.

The learning rates are small for a reason: at 0.1 training from scratch is chaotic, and a change of the
weights by 1e-7 of themselves moves a loss by up to 1e-1 of itself within 20 steps. At these rates it moves
none by more than 3e-6, and another CPU (emulated: no AVX in torch, oneDNN and MKL) none by more than 9e-6.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.factories import ListSink, tiny_plan
from tests.paths import GOLDEN
from tests.variants import VARIANTS
from trainer.run.worker import train
from trainer.spec.methods import METHODS

pytestmark = pytest.mark.integration

CURVES = GOLDEN / "loss_curves.json"
STEPS, RELATIVE_TOLERANCE = 20, 1e-4
LEARNING_RATE = 0.002
# Losses with small gradients, which would hardly move.
FASTER = dict.fromkeys(("dice", "lovasz", "lovasz scope=image", "reweighting"), 0.02)

Curves = dict[str, list[float]]  # name of a loss in the log: its value at each step


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def curves(name: str, storage: Path) -> Curves:
    """All losses of one variant, with the 7 digits that float32 has."""
    schedule = {
        "iterations": STEPS,
        "batch_size": 4,
        "crop_size": [64, 64],
        "learning_rate": FASTER.get(name, LEARNING_RATE),
    }
    experiment = f"golden-{list(VARIANTS).index(name)}"
    plan = tiny_plan(storage, experiment=experiment, method=VARIANTS[name], schedule=schedule)
    assert (plan.threads, plan.log_interval) == (1, 1)
    sink = ListSink()
    train(plan, sink)
    steps: list[dict[str, Any]] = [dict(record) for record in sink.records if record["kind"] == "train"]
    losses = [key for key in steps[0] if key.startswith("loss")]
    return {key: [float(f"{step[key]:.7g}") for step in steps] for key in losses}


@pytest.fixture(scope="module")
def golden(storage: Path) -> dict[str, Curves]:
    """The curves kept; UPDATE_GOLDEN=1 computes and keeps them first."""
    if os.environ.get("UPDATE_GOLDEN"):
        computed = {name: curves(name, storage / "update") for name in VARIANTS}
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in computed.items()]
        CURVES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    kept: dict[str, Curves] = json.loads(CURVES.read_text())
    return kept


def test_every_method_has_its_curves(golden: dict[str, Curves]) -> None:
    """A method or variant without curves, and curves of none, are both seen."""
    assert list(golden) == list(VARIANTS)
    assert {name.split()[0] for name in golden} == set(METHODS)
    assert all(len(values) == STEPS for losses in golden.values() for values in losses.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_losses_are_those_kept(name: str, storage: Path, golden: dict[str, Curves]) -> None:
    """Every logged loss of every step is the one kept, within 1e-4 of it, on any CPU."""
    computed = curves(name, storage)
    assert set(computed) == set(golden[name])
    for loss, values in computed.items():
        assert values == pytest.approx(golden[name][loss], rel=RELATIVE_TOLERANCE), loss
