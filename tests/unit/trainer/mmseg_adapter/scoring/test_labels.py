"""labels_of against torch's own bilinear resizing and argmax.

Letters: N pictures, K classes, H W label size, h w the logits' size.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainer.mmseg_adapter.scoring.labels import labels_of

# How far below the best a chosen class may be, relative to the largest logit: a tie within rounding.
TIE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
SIDES = st.integers(1, 9)
TARGETS = st.integers(1, 23)


class Sizes(TorchDispatchMode):
    """What torch makes while it lasts: the sizes of all tensors, and of those that embedding_bag gives."""

    def __init__(self) -> None:
        super().__init__()
        self.numels: list[int] = []
        self.interpolated: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves(made) if isinstance(one, Tensor)]
        self.numels += [one.numel() for one in tensors]
        if "embedding_bag" in str(func):
            self.interpolated.append(tensors[0].numel())
        return made


def resized(logits: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)


def make_logits(shape: tuple[int, int, int, int], kind: str, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator)
    if kind == "noise":
        return noise
    coarse = torch.randn(*shape[:2], 2, 2, generator=generator)
    smooth = resized(coarse, (shape[2], shape[3]), True)
    return smooth if kind == "smooth" else smooth.round()


@pytest.mark.slow
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), SIDES, SIDES),
    size=st.tuples(TARGETS, TARGETS),
    align_corners=st.booleans(),
    dtype=st.sampled_from(list(TIE)),
    kind=st.sampled_from(["noise", "smooth", "steps"]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=300)
def test_a_best_class_everywhere(
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    align_corners: bool,
    dtype: torch.dtype,
    kind: str,
    seed: int,
) -> None:
    """At every pixel the label's resized logit is the largest, ties in rounding aside; any size, any type."""
    logits = make_logits(shape, kind, seed).to(dtype)
    labels = labels_of(logits, size, align_corners=align_corners)
    assert labels.shape == (shape[0], *size)
    assert labels.dtype == torch.int64
    full = resized(logits.double(), size, align_corners)
    short = full.amax(dim=1) - full.gather(1, labels[:, None]).squeeze(1)
    assert (short <= TIE[dtype] * logits.double().abs().amax().clamp(min=1)).all()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kind", ["noise", "smooth"])
@pytest.mark.parametrize("size", [(48, 61), (12, 15), (7, 5), (96, 15)])
def test_torchs_labels(size: tuple[int, int], kind: str, align_corners: bool) -> None:
    """The labels are those of torch's resized logits, but for one pixel in a thousand at most (near ties)."""
    logits = make_logits((2, 20, 12, 15), kind, 5)
    labels = labels_of(logits, size, align_corners=align_corners)
    expected = resized(logits, size, align_corners).argmax(dim=1)
    assert (labels != expected).sum() <= labels.numel() // 1000


@pytest.mark.slow
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kind", ["noise", "smooth"])
def test_torchs_labels_of_a_whole_picture(kind: str, align_corners: bool) -> None:
    """150 classes, 512×683 pixels: fewer than one label in 100,000 is another than torch's."""
    logits, size = make_logits((1, 150, 128, 171), kind, 6), (512, 683)
    labels = labels_of(logits, size, align_corners=align_corners)
    expected = resized(logits, size, align_corners).argmax(dim=1)
    assert (labels != expected).sum() < 1e-5 * labels.numel()


@given(st.permutations(range(5)), st.integers(0, 100))
def test_permuting_classes_permutes_labels(order: list[int], seed: int) -> None:
    """Renaming classes renames the labels."""
    logits = make_logits((1, 5, 4, 6), "noise", seed)
    labels = labels_of(logits, (13, 17), align_corners=False)
    moved = labels_of(logits[:, order], (13, 17), align_corners=False)
    assert torch.equal(torch.tensor(order)[moved], labels)


def test_many_at_a_time() -> None:
    """Pixels interpolated in several goes get torch's labels, and no picture-sized logits are made."""
    logits, size = make_logits((2, 150, 9, 10), "noise", 1), (100, 120)
    with Sizes() as sizes:
        labels = labels_of(logits, size, align_corners=True)
    assert len(sizes.interpolated) > 2
    assert max(sizes.numels) < labels.numel() * 150 / 3
    rows = [labels_of(logits[n : n + 1], size, align_corners=True) for n in range(2)]
    assert torch.equal(torch.cat(rows), labels)
    assert (labels != resized(logits, size, True).argmax(dim=1)).sum() <= labels.numel() // 1000


def test_a_class_that_leads_nowhere_can_lead_between() -> None:
    """Second in every cell, first between them: only interpolation finds it."""
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0], [2.5, 2.5]]).view(1, 3, 1, 2)
    assert labels_of(logits, (1, 5), align_corners=True).tolist() == [[[0, 2, 2, 2, 1]]]


def test_what_is_not_interpolated() -> None:
    """One class in front in all cells: no pixel is interpolated."""
    logits = make_logits((1, 4, 6, 5), "noise", 2)
    with Sizes() as noisy:
        labels_of(logits, (12, 11), align_corners=False)
    logits[:, 2] += 100
    with Sizes() as clear:
        assert (labels_of(logits, (12, 11), align_corners=False) == 2).all()
    assert len(noisy.interpolated) == 1
    assert not clear.interpolated


@pytest.mark.parametrize("align_corners", [False, True])
def test_not_a_number_leads_as_in_torch(align_corners: bool) -> None:
    """NaN gives the label that torch's argmax gives: it is not passed over."""
    logits = make_logits((1, 6, 5, 5), "smooth", 3)
    logits[0, 4, 2, 2] = torch.nan
    logits[0, 2:5, 0, 3] = torch.nan
    size = (16, 16)
    expected = resized(logits, size, align_corners).argmax(dim=1)
    assert (expected == 4).any()
    assert torch.equal(labels_of(logits, size, align_corners=align_corners), expected)
    everything = torch.full((1, 3, 2, 2), torch.nan)
    assert (labels_of(everything, (4, 4), align_corners=align_corners) == 0).all()


def test_inputs_are_left_alone() -> None:
    """Logits in another memory order, or with a gradient, give the same labels and are not written to."""
    logits = make_logits((2, 5, 6, 8), "noise", 4)
    before = logits.clone()
    expected = labels_of(logits, (13, 9), align_corners=False)
    other = logits.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.equal(labels_of(other, (13, 9), align_corners=False), expected)
    assert torch.equal(logits, before)
