"""Folder data in mmsegmentation's terms, so drawn that a resumed run sees what the first would have seen.

Each training sample is addressed by its position in one endless stream: position p of seed s is always the
same picture with the same augmentation, whatever the number of workers, loader processes or restarts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Sampler

from trainer.data.listing import MASK_SUFFIX
from trainer.data.splits import list_pairs
from trainer.drawing.palette import palette_of
from trainer.mmseg_adapter import photometric, transforms  # noqa: F401 - pipelines name them

_SAMPLE_STREAM, _ITERATION_STREAM, _ORDER_STREAM = 0, 1, 2


def seed_everything(*entropy: int) -> None:
    """Seeds random, numpy and torch from `entropy`, all three differently."""
    torch_seed = _seed_cpu(*entropy)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(torch_seed)


def _seed_cpu(*entropy: int) -> int:
    """Seeds the three streams of the CPU; torch's seed.

    Without torch.manual_seed: where CUDA was never used that keeps a formatted stack for each call, for ever.
    """
    words = np.random.SeedSequence(entropy).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch_seed = int(words[2]) << 32 | int(words[3])
    torch.default_generator.manual_seed(torch_seed)
    return torch_seed


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """What a training step draws (dropout) depends on seed, iteration and rank, never on what ran before."""
    seed_everything(seed, _ITERATION_STREAM, iteration, rank)


@contextmanager
def seeded_sample(seed: int, position: int) -> Iterator[None]:
    """Draws inside come from (seed, position) and leave the outer streams untouched."""
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_cpu(seed, _SAMPLE_STREAM, position)
    try:
        yield
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])
        torch.set_rng_state(saved[2])


class TimedBatches:
    """An iterator of batches with a clock that runs while somebody waits for one; else it is the iterator."""

    def __init__(self, batches: Any, clock: Callable[[], float]) -> None:
        self._batches = batches
        self._clock = clock
        self._seconds = 0.0

    def __next__(self) -> Any:
        begun = self._clock()
        batch = next(self._batches)
        self._seconds += self._clock() - begun
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def take_seconds(self) -> float:
        """Seconds waited since they were last taken."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler[int]):
    """Endless shuffled stream; yields `position * len(dataset) + index` for this rank's part of each batch.

    Rank r of n takes the r-th n-th of every global batch, so that n workers together see what one would.
    """

    def __init__(
        self, dataset: Any, global_batch_size: int, seed: int, place: tuple[int, int] | None = None
    ) -> None:
        """`place` is (rank, number of ranks); None: as torch.distributed says."""
        self._size = len(dataset)
        self._global_batch_size = global_batch_size
        self._seed = seed
        taken: tuple[int, int] = place or get_dist_info()
        self._rank, self._world_size = taken
        self._skipped = 0

    def skip(self, num_samples: int) -> None:
        """Leaves out the first `num_samples` of this rank, without loading them."""
        self._skipped = num_samples

    def __len__(self) -> int:
        """Samples of one pass over the data: mmengine asks, though the stream has no end."""
        return self._size

    def __iter__(self) -> Iterator[int]:
        share = self._global_batch_size // self._world_size
        epoch, order = -1, np.empty(0, dtype=np.int64)
        sample = self._skipped
        while True:
            batch, offset = divmod(sample, share)
            position = batch * self._global_batch_size + self._rank * share + offset
            if position // self._size != epoch:
                epoch = position // self._size
                order = np.random.default_rng([self._seed, _ORDER_STREAM, epoch]).permutation(self._size)
            yield position * self._size + int(order[position % self._size])
            sample += 1


def colours_of(classes: Sequence[str], palette: Sequence[Sequence[int]] | None = None) -> list[list[int]]:
    """A colour for each class, which mmseg wants for pictures of labels: of `palette`, else distinct ones."""
    own = None if palette is None else [(red, green, blue) for red, green, blue in palette]
    return [list(colour) for colour in palette_of(own, len(classes))]


@DATASETS.register_module()
class PairedFolder(BaseSegDataset):  # type: ignore[misc]
    """images/SPLIT and annotations/SPLIT paired by stem; training indices come from PositionSampler."""

    def __init__(
        self,
        *,
        data_root: str,
        split: str,
        classes: Sequence[str],
        mask_ending: str = MASK_SUFFIX,
        palette: Sequence[Sequence[int]] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """`mask_ending` as for `list_pairs`; `palette` (K, 3) red, green, blue, by default `palette_of`'s."""
        self._split = split
        self._mask_ending = mask_ending
        self._seed = seed
        metainfo = {"classes": tuple(classes), "palette": colours_of(classes, palette)}
        super().__init__(data_root=data_root, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            {
                "img_path": str(pair.picture),
                "seg_map_path": str(pair.mask),
                "label_map": None,
                "reduce_zero_label": False,
                "seg_fields": [],
            }
            for pair in list_pairs(Path(self.data_root), self._split, mask_ending=self._mask_ending)
        ]

    def __getitem__(self, address: int) -> Any:
        if self.test_mode:
            return super().__getitem__(address)
        position, index = divmod(address, len(self))
        with seeded_sample(self._seed, position):
            return super().__getitem__(index)
