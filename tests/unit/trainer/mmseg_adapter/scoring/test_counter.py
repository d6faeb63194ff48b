"""Counts of single pictures: whose they are, and that each is there once, however many ranks count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.trainer.mmseg_adapter.scoring import counter_rank
from tests.unit.trainer.mmseg_adapter.scoring.counter_rank import IGNORE, PICTURES, K, count, make_picture
from trainer.mmseg_adapter.scoring.counter import SplitCounter, names_of
from trainer.results.confusion_file import read_confusion
from trainer.results.split_counts import SplitCounts
from trainer.storage.posix import PosixFile


def assert_same(found: SplitCounts, wanted: SplitCounts) -> None:
    assert found.names == wanted.names
    for name in ("confusion", "tp", "fp", "fn"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


def test_each_picture_has_its_counts() -> None:
    """By name; they are those of sets of pixels, and all of them add up to the matrix."""
    found = count(range(PICTURES)).gathered()
    assert found.names == tuple(f"p{number}" for number in range(1, PICTURES + 1))
    for number in range(PICTURES):
        _, predicted, target = make_picture(number)
        row = found.names.index(f"p{PICTURES - number}")
        valid = target != IGNORE
        for k in range(K):
            said, is_k = (predicted == k) & valid, target == k
            assert found.tp[row, k] == (said & is_k).sum()
            assert found.fp[row, k] == (said & ~is_k).sum()
            assert found.fn[row, k] == (~said & is_k).sum()
    assert np.array_equal(found.tp.sum(axis=0), np.diagonal(found.confusion))
    assert np.array_equal((found.tp + found.fp).sum(axis=0), found.confusion.sum(axis=0))
    assert np.array_equal((found.tp + found.fn).sum(axis=0), found.confusion.sum(axis=1))


def test_order_changes_nothing() -> None:
    """Whatever the order in which pictures come."""
    assert_same(count(range(PICTURES - 1, -1, -1)).gathered(), count(range(PICTURES)).gathered())


def test_gathering_starts_anew() -> None:
    """The next evaluation counts the same pictures again, and itself alone."""
    counter = count(range(PICTURES))
    first = counter.gathered()
    assert counter.gathered().images == 0
    counter.add(*make_picture(0))
    assert counter.gathered().images == 1
    assert first.images == PICTURES, "what was gathered stays"


def test_a_picture_counts_once() -> None:
    """A sampler that repeats one to fill up a batch would change the scores: an error, with its path."""
    counter = count(range(PICTURES))
    counter.add(*make_picture(2))
    with pytest.raises(ValueError, match=r"counted more than once: /data/val/p3\.png"):
        counter.gathered()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["/d/a/x.png"], ["x"]),
        (["/d/a/x.png", "/d/a/y.png"], ["x", "y"]),
        (["/d/a/x.png", "/d/b/x.png", "/d/b/y.png"], ["a/x.png", "b/x.png", "b/y.png"]),
        (["/d/x.png", "/d/x.jpg"], ["x.png", "x.jpg"]),
        (["/d/x.png", "/d/a/x.png"], ["x.png", "a/x.png"]),
    ],
)
def test_names(paths: list[str], names: list[str]) -> None:
    """Stems where they tell pictures apart, else paths below the folder that all lie in."""
    assert names_of(paths) == names


def test_shapes_and_types() -> None:
    """(H, W) and (1, H, W) labels of any integer type count the same, also where K² does not fit the type."""
    classes = 200
    _, predicted, target = make_picture(1)
    predicted, target = predicted * 60, torch.where(target == IGNORE, IGNORE, target * 60)
    wide, narrow = (SplitCounter(num_classes=classes, ignore_index=IGNORE) for _ in range(2))
    wide.add("p", predicted, target)
    narrow.add("p", predicted[0].to(torch.uint8), target[0].to(torch.uint8))
    assert_same(narrow.gathered(), wide.gathered())


@pytest.mark.slow
def test_two_ranks_count_as_one(tmp_path: Path, repository: Path) -> None:
    """Real gloo processes with three pictures and two: both have the counts of one process with all."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    files = [tmp_path / f"confusion{rank}.npz" for rank in range(2)]
    ranks = [
        subprocess.Popen(
            [sys.executable, counter_rank.__file__, str(rank), str(tmp_path / "rendezvous"), str(file)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, file in enumerate(files)
    ]
    try:
        errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    alone = count(range(PICTURES)).gathered()
    for file in files:
        assert_same(read_confusion(PosixFile(file)).modes["single_scale"], alone)
