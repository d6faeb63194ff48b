"""The stream of training samples."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from tests.factories import tiny_plan
from trainer.mmseg_adapter.data import PairedFolder, PositionSampler
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.torch_compat import end_workers, kept_iterator

SIZE = 10


def sampler(rank: int = 0, world_size: int = 1, batch: int = 4) -> PositionSampler:
    return PositionSampler(range(SIZE), global_batch_size=batch, seed=7, place=(rank, world_size))


def test_every_picture_once_an_epoch() -> None:
    """Each pass over the stream holds each picture once, in another order than the pass before."""
    stream = list(islice(sampler(), 2 * SIZE))
    first, second = ([address % SIZE for address in part] for part in (stream[:SIZE], stream[SIZE:]))
    assert sorted(first) == sorted(second) == list(range(SIZE))
    assert first != second
    assert [address // SIZE for address in stream] == list(range(2 * SIZE))


def test_ranks_share_what_one_would_take() -> None:
    """Batch by batch, two ranks together draw what a single one draws."""
    alone = list(islice(sampler(), 12))
    left = list(islice(sampler(0, 2), 6))
    right = list(islice(sampler(1, 2), 6))
    together = [*left[:2], *right[:2], *left[2:4], *right[2:4], *left[4:], *right[4:]]
    assert together == alone


@pytest.mark.parametrize("skipped", [0, 1, 9, 23])
def test_skipping_leaves_the_rest_as_it_was(skipped: int) -> None:
    """skip(n) continues as if n samples had been drawn, across epochs too."""
    whole = list(islice(sampler(), 40))
    resumed = sampler()
    resumed.skip(skipped)
    assert list(islice(resumed, 40 - skipped)) == whole[skipped:]


@pytest.fixture
def folder(tmp_path: Path) -> PairedFolder:
    config: dict[str, Any] = revive(tiny_plan(tmp_path).config["train_dataloader"]["dataset"])
    config.pop("type")
    with DefaultScope.overwrite_default_scope("mmseg"):
        return PairedFolder(**config)


def test_a_position_is_one_sample(folder: PairedFolder) -> None:
    """The same address gives the same augmented picture; another position of the picture another one."""
    first, again, later = folder[3], folder[3], folder[3 + len(folder)]
    assert torch.equal(first["inputs"], again["inputs"])
    assert not torch.equal(first["inputs"], later["inputs"])


def test_loading_leaves_the_streams_alone(folder: PairedFolder) -> None:
    """Augmentation draws nothing from the streams that training steps use."""
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[union-attr]
    folder[5]
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_loader_processes_change_nothing(tmp_path: Path) -> None:
    """Two processes hand over the batches that the training process would load itself."""
    alone = revive(tiny_plan(tmp_path).config["train_dataloader"])
    helped = {**alone, "num_workers": 2, "persistent_workers": True, "prefetch_factor": 4}
    batches = []
    for config in (alone, helped):
        with DefaultScope.overwrite_default_scope("mmseg"):
            loader = Runner.build_dataloader(config)
        batches.append(list(islice(loader, 3)))
        end_workers(kept_iterator(loader))
    for ours, theirs in zip(*batches, strict=True):
        assert all(map(torch.equal, ours["inputs"], theirs["inputs"]))
        masks = ([sample.gt_sem_seg.data for sample in batch["data_samples"]] for batch in (ours, theirs))
        assert all(map(torch.equal, *masks))
