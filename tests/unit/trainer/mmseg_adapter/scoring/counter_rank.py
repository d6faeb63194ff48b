"""One of two ranks: `python counter_rank.py RANK RENDEZVOUS_FILE RESULT_FILE`; see test_counter.py.

Each counts its own pictures of `PICTURES`; each writes what both have gathered.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed

from trainer.mmseg_adapter.scoring.counter import SplitCounter
from trainer.results.confusion_file import write_confusion
from trainer.storage.posix import PosixFile

K, IGNORE, PICTURES = 4, 255, 5


def make_picture(number: int) -> tuple[str, Tensor, Tensor]:
    """(path, predicted, target) of a picture; later ones come first by name, and have other sizes."""
    generator = torch.Generator().manual_seed(number)
    size = (1, 6, 5 + number)
    predicted, target = (torch.randint(0, K, size, generator=generator) for _ in range(2))
    target[:, 0] = IGNORE
    return f"/data/val/p{PICTURES - number}.png", predicted, target


def count(numbers: Iterable[int]) -> SplitCounter:
    """A counter that has counted these pictures."""
    counter = SplitCounter(num_classes=K, ignore_index=IGNORE)
    for number in numbers:
        counter.add(*make_picture(number))
    return counter


if __name__ == "__main__":
    rank, rendezvous, result_file = int(sys.argv[1]), *sys.argv[2:]
    torch.set_num_threads(1)
    limit = timedelta(seconds=30)
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2, timeout=limit
    )
    gathered = count(range(rank, PICTURES, 2)).gathered()
    write_confusion(PosixFile(Path(result_file)), {"single_scale": gathered}, [str(k) for k in range(K)])
    distributed.destroy_process_group()
