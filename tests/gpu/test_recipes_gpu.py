"""Rows of the paper as they are published, for twenty steps at their full crop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.integration.test_recipe_rows import few_pictures
from trainer.plan import make_plan
from trainer.spec.recipes import recipes
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.storage.sink import NullSink
from trainer.task import Task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
STEPS = 20


@pytest.mark.parametrize("name", ["table3/deeplabv3plus_r50", "table3/upernet_swin_t", "table4/ocrnet_hr48"])
def test_twenty_steps(name: str, shared_data: Path, tmp_path: Path) -> None:
    """The row's crop, batch of four, precision and optimiser, with the region branch; scores come out."""
    from trainer.run.worker import train

    recipe = recipes()[name]
    document = {
        "recipe": name,
        "dataset": {"root": str(few_pictures(shared_data, recipe.dataset, tmp_path / "data"))},
        "weights": "none",
        "method": "region_rebalance",
        "schedule": {"iterations": STEPS, "batch_size": 4},
        "resources": {"gpus_per_worker": 1, "cpus_per_worker": 2},
    }
    storage = str(Storage.at(tmp_path / "storage").root)
    task = Task(experiment="row", attempt=1, spec=parse_spec(document), storage=storage)
    result = train(make_plan(task, lambda _: None), NullSink())
    assert result.parameters == recipe.parameters
    assert result.evaluation["single_scale"].images == 1
