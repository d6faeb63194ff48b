"""ProgressHook: what becomes of the values of single steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from tests.factories import ListSink
from trainer.mmseg_adapter.data import TimedBatches
from trainer.mmseg_adapter.hooks import ProgressHook
from trainer.storage.sink import Record
from trainer.tracking.run_log import metrics_in

NAN = math.nan


def logged(steps: list[dict[str, float]]) -> Record:
    """The record of `steps` logged together, the iteration before them logged by itself."""
    sink = ListSink()
    hook = ProgressHook(len(steps) + 1, sink.emit)
    wrapper = SimpleNamespace(get_lr=lambda: {"lr": [0.1]})
    hook.before_train(SimpleNamespace(train_loop=SimpleNamespace(dataloader_iterator=iter(()))))
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


def test_the_share_that_waits_for_batches_is_logged() -> None:
    """Waiting counts in the record of its steps and in no later one; MLflow gets the share too."""
    seconds, sink = [0.0], ListSink()

    def batches() -> Iterator[None]:
        for waited in (3.0, 0.5, 0.5):
            seconds[0] += waited
            yield

    hook = ProgressHook(2, sink.emit, clock=lambda: seconds[0])
    loop = SimpleNamespace(dataloader_iterator=batches())
    wrapper = SimpleNamespace(get_lr=lambda: {"lr": [0.1]})
    hook.before_train(SimpleNamespace(train_loop=loop))
    for index in range(3):
        next(loop.dataloader_iterator)
        seconds[0] += 1.0  # what else a step does
        hook.after_train_iter(SimpleNamespace(iter=index, max_iters=3, optim_wrapper=wrapper), index)
    assert [record["data_seconds_share"] for record in sink.records] == [3 / 4, 0.5 / 1.5, 0.5 / 1.5]
    assert metrics_in({**sink.records[0], "time": 0.0})["train/data_seconds_share"] == 3 / 4


def test_a_timed_iterator_is_the_loaders() -> None:
    """What mmengine asks of its iterator beside batches is answered by it."""
    inner = SimpleNamespace(skip_iter=lambda steps: steps)
    assert TimedBatches(inner, time.perf_counter).skip_iter(3) == 3
