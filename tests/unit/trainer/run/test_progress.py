"""ProgressHook: what becomes of the values of single steps."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from tests.factories import ListSink
from trainer.mmseg_adapter.hooks import ProgressHook
from trainer.storage.sink import Record
from trainer.tracking.run_log import metrics_in

NAN = math.nan


def logged(steps: list[dict[str, float]]) -> Record:
    """The record of `steps` logged together, the iteration before them logged by itself."""
    sink = ListSink()
    hook = ProgressHook(len(steps) + 1, sink.emit)
    wrapper = SimpleNamespace(get_lr=lambda: {"lr": [0.1]})
    hook.before_train(None)
    for index, values in enumerate([steps[0], *steps]):
        runner = SimpleNamespace(iter=index, max_iters=100, optim_wrapper=wrapper)
        outputs = {name: torch.tensor(value) for name, value in values.items()}
        hook.after_train_iter(runner, index, outputs=outputs)
    first, record = sink.records
    assert first["iteration"] == 1
    return record


def test_means_are_over_the_steps_since_the_last_record() -> None:
    """Losses and other values: the mean; the prefix of the head is dropped."""
    record = logged([{"decode.loss_pixel": 1.0, "acc": 10.0}, {"decode.loss_pixel": 2.0, "acc": 30.0}])
    assert record["loss_pixel"] == 1.5
    assert record["acc"] == 20.0
    assert record["iteration"] == 3


def test_values_that_some_steps_lack_are_means_over_the_others() -> None:
    """NaN means that a step has no such region: it counts nowhere, and with no step left nothing is said."""
    record = logged(
        [
            {"region_acc_tail": NAN, "region_acc_head": NAN, "loss": 1.0},
            {"region_acc_tail": 50.0, "region_acc_head": NAN, "loss": 1.0},
            {"region_acc_tail": 100.0, "region_acc_head": NAN, "loss": 1.0},
        ]
    )
    assert record["region_acc_tail"] == 75.0
    assert "region_acc_head" not in record
    sent = metrics_in({**record, "time": 0.0})
    assert sent["train/region_acc_tail"] == 75.0
    assert "train/region_acc_head" not in sent


@pytest.mark.parametrize("name", ["loss", "decode.loss_region", "aux.loss_ce"])
def test_a_loss_is_never_skipped(name: str) -> None:
    """One step's NaN makes the mean NaN."""
    record = logged([{name: NAN}, {name: 1.0}])
    assert math.isnan(record[name.replace("decode.", "")])
