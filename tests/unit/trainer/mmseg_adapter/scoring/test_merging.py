"""labels_of_views against the formula written out in float64: two resizes, means of windows, turns, softmax.

Letters: K classes, H W the picture's size, y x a view's, h w the logits'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from trainer.mmseg_adapter.scoring.merging import labels_of_views
from trainer.mmseg_adapter.scoring.patches import Patch, View, axis_weights, spans, table_of

TIE = 1e-5  # how far below the best mean probability, or of the largest logit, a chosen class may be
SIDES, LENGTHS, PIXELS = st.integers(1, 5), st.integers(1, 19), st.integers(1, 23)


@dataclass(frozen=True)
class Seen:
    """A view with its windows' logits by row and column."""

    length: tuple[int, int]  # y, x
    spans: tuple[list[tuple[int, int]], list[tuple[int, int]]]
    logits: list[list[Tensor]]  # (1, K, h, w) each
    mirrored: bool


def make_seen(
    length: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    cells: tuple[int, int],
    *,
    mirrored: bool = False,
    classes: int = 4,
    seed: int = 0,
) -> Seen:
    generator = torch.Generator().manual_seed(seed)
    down, across = (spans(*one) for one in zip(length, window, stride, strict=True))
    logits = [[3 * torch.randn(1, classes, *cells, generator=generator) for _ in across] for _ in down]
    return Seen(length, (down, across), logits, mirrored)


def as_view(seen: Seen, size: tuple[int, int], align_corners: bool) -> View:
    (down, across), (h, w) = seen.spans, seen.logits[0][0].shape[2:]
    rows = axis_weights(size[0], seen.length[0], [(one, h) for one in down], align_corners=align_corners)
    columns = axis_weights(
        size[1],
        seen.length[1],
        [(one, w) for one in across],
        align_corners=align_corners,
        mirrored=seen.mirrored,
    )
    return [
        Patch(table_of(logits), rows[y], columns[x])
        for y, row in enumerate(seen.logits)
        for x, logits in enumerate(row)
    ]


def written_out(seen: Seen, size: tuple[int, int], align_corners: bool) -> Tensor:
    """(K, H, W) float64 logits of one view, as mmseg makes them."""
    classes = seen.logits[0][0].shape[1]
    total, times = torch.zeros(1, classes, *seen.length, dtype=torch.float64), torch.zeros(seen.length)
    for (top, bottom), row in zip(seen.spans[0], seen.logits, strict=True):
        for (left, right), logits in zip(seen.spans[1], row, strict=True):
            there = (bottom - top, right - left)
            total[:, :, top:bottom, left:right] += resized(logits.double(), there, align_corners)
            times[top:bottom, left:right] += 1
    assert (times > 0).all()
    whole = total / times
    if seen.mirrored:
        whole = whole.flip(3)
    return resized(whole, size, align_corners)[0]


def resized(logits: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    return F.interpolate(logits, size, mode="bilinear", align_corners=align_corners)


def assert_best(labels: Tensor, seen: Sequence[Seen], size: tuple[int, int], align_corners: bool) -> None:
    """At every pixel the label has the highest mean probability, or logit of one view, ties aside."""
    maps = [written_out(one, size, align_corners) for one in seen]
    mean = maps[0] if len(maps) == 1 else torch.stack([one.softmax(0) for one in maps]).mean(0)
    short = mean.amax(0) - mean.gather(0, labels[None])[0]
    assert labels.shape == size
    assert labels.dtype == torch.int64
    assert (short <= TIE * mean.abs().amax().clamp(min=1)).all()


@st.composite
def views(draw: Any) -> list[Seen]:
    """One to four views of any sizes, of windows, mirrored and not."""
    return [
        make_seen(
            (draw(LENGTHS), draw(LENGTHS)),
            (window := (draw(LENGTHS), draw(LENGTHS))),
            (draw(st.integers(1, window[0])), draw(st.integers(1, window[1]))),
            (draw(SIDES), draw(SIDES)),
            mirrored=draw(st.booleans()),
            seed=draw(st.integers(0, 999)),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


@pytest.mark.slow
@given(seen=views(), size=st.tuples(PIXELS, PIXELS), align_corners=st.booleans())
@settings(max_examples=150)
def test_the_best_class_everywhere(seen: list[Seen], size: tuple[int, int], align_corners: bool) -> None:
    """Whatever the sizes, scales, windows and turns."""
    labels = labels_of_views([as_view(one, size, align_corners) for one in seen], size)
    assert_best(labels, seen, size, align_corners)


LARGE = [
    make_seen((96, 128), (96, 128), (96, 128), (24, 32), classes=150, seed=1),
    make_seen((144, 192), (96, 128), (64, 96), (24, 32), classes=150, seed=2),
    make_seen((96, 128), (96, 128), (96, 128), (24, 32), classes=150, mirrored=True, seed=3),
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("number", [1, 3])
def test_many_tiles(number: int, align_corners: bool) -> None:
    """Pictures of many tiles, and tiles that lie in one window of several."""
    size = (140, 187)
    labels = labels_of_views([as_view(one, size, align_corners) for one in LARGE[:number]], size)
    assert_best(labels, LARGE[:number], size, align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
def test_one_whole_view(align_corners: bool) -> None:
    """One view of the picture's size has the labels of `labels_of`, but for ties."""
    size, logits = LARGE[0].length, LARGE[0].logits[0][0]
    labels = labels_of_views([as_view(LARGE[0], size, align_corners)], size)
    differing = labels != labels_of(logits, size, align_corners=align_corners)[0]
    assert differing.sum() <= labels.numel() // 1000


def test_a_mirrored_view_of_a_mirrored_picture() -> None:
    """Turned back it is the view itself: with both, labels are those of one, and mirror with the picture."""
    seen = make_seen((16, 24), (16, 24), (16, 24), (5, 7), seed=4)
    back = Seen(seen.length, seen.spans, [[seen.logits[0][0].flip(3)]], mirrored=True)
    size = (31, 40)
    alone = labels_of_views([as_view(seen, size, False)], size)
    assert torch.equal(labels_of_views([as_view(back, size, False)], size), alone)
    both = labels_of_views([as_view(one, size, False) for one in (seen, back)], size)
    assert (both != alone).sum() <= 1
    unturned = Seen(seen.length, seen.spans, back.logits, mirrored=False)
    assert (labels_of_views([as_view(unturned, size, False)], size) != alone.flip(1)).sum() <= 1


def test_views_in_any_order() -> None:
    """The order of views changes nothing, nor does a view that is there twice."""
    size = (40, 50)
    [one, two, _] = [as_view(seen, size, False) for seen in LARGE]
    expected = labels_of_views([one, two], size)
    assert torch.equal(labels_of_views([two, one], size), expected)
    assert (labels_of_views([one, one, two, two], size) != expected).sum() <= 2


class Made(TorchDispatchMode):
    """What torch makes in this thread while it lasts: the sizes of all tensors, and how many products."""

    def __init__(self) -> None:
        super().__init__()
        self.numels: list[int] = []
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.numels += [one.numel() for one in tree_leaves(made) if isinstance(one, Tensor)]
        self.products += "aten.mm" in str(func)
        return made


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("number", [1, 3])
def test_where_one_class_leads_nothing_is_computed(number: int) -> None:
    """Tiles in which one class leads in all cells of all views are that class; the others are computed."""
    seen = [make_seen((64, 64), (64, 64), (64, 64), (16, 16), classes=300, seed=k) for k in range(number)]
    for one in seen:  # class 7 leads in the left half, class 8 in the right one
        one.logits[0][0][:, 7, :, :8] += 60
        one.logits[0][0][:, 8, :, 8:] += 60
    size, side = (128, 128), 20  # of a tile, for 300 classes
    with Made() as made:
        labels = labels_of_views([as_view(one, size, False) for one in seen], size)
    assert_best(labels, seen, size, False)
    rows, columns = -(-128 // side), 2  # that touch cells of both halves
    assert made.products == rows * columns * number * 2
    assert set(labels.unique().tolist()) == {7, 8}


@pytest.mark.usefixtures("one_thread")
def test_memory_is_bounded() -> None:
    """No tensor is larger than a view's logits or a tile, though the picture has 40 times as many values."""
    size = (300, 400)
    views = [as_view(seen, size, False) for seen in LARGE]
    with Made() as made:
        labels_of_views(views, size)
    assert max(made.numels) <= max(2**17, 24 * 32 * 150, 300 * 400)
    assert max(made.numels) * 40 < 300 * 400 * 150 * len(LARGE)


def test_threads_change_nothing() -> None:
    """With several threads the labels are those of one, and torch has as many afterwards as before."""
    size, before = (300, 400), torch.get_num_threads()
    views = [as_view(seen, size, False) for seen in LARGE]
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(labels_of_views(views, size))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_logits(dtype: torch.dtype) -> None:
    """Logits of half precision give the labels of the same numbers in float32, also inside autocast."""
    seen = make_seen((20, 30), (20, 30), (20, 30), (6, 7), classes=9)
    narrow = Seen(seen.length, seen.spans, [[seen.logits[0][0].to(dtype)]], mirrored=False)
    same = Seen(seen.length, seen.spans, [[narrow.logits[0][0].float()]], mirrored=False)
    size = (40, 41)
    expected = labels_of_views([as_view(same, size, False)] * 2, size)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(labels_of_views([as_view(narrow, size, False)] * 2, size), expected)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("number", [1, 2])
def test_what_is_not_a_number(number: int, odd: float, align_corners: bool) -> None:
    """It reaches the pixels that take some of its cell, as in mmseg, and no others of the tile."""
    seen = [make_seen((16, 24), (16, 24), (16, 24), (5, 7), classes=6, seed=k) for k in range(number)]
    plain = [as_view(one, (33, 50), align_corners) for one in seen]
    before = labels_of_views(plain, (33, 50))
    seen[0].logits[0][0][0, 3:5, 2, 4] = odd
    maps = [written_out(one, (33, 50), align_corners) for one in seen]
    mean = maps[0] if number == 1 else torch.stack([one.softmax(0) for one in maps]).mean(0)
    labels = labels_of_views([as_view(one, (33, 50), align_corners) for one in seen], (33, 50))
    # torch's own resizing makes 0 × inf of cells that have no share; those pixels may differ.
    untouched = (plain[0][0].rows[:, 2, None] * plain[0][0].columns[None, :, 4]) == 0
    assert torch.equal(labels[untouched], before[untouched])
    assert torch.equal(labels[~untouched], mean.argmax(0)[~untouched])
    if odd != -torch.inf:
        assert set(labels[~untouched].tolist()) == {3 if number == 1 else 0}


def test_everything_not_a_number() -> None:
    """All logits NaN: the first class, as torch's argmax gives it."""
    seen = make_seen((8, 8), (8, 8), (8, 8), (4, 4))
    seen.logits[0][0].fill_(torch.nan)
    for number in (1, 2):
        assert not labels_of_views([as_view(seen, (9, 9), False)] * number, (9, 9)).any()


def test_windows_as_mmseg_lays_them() -> None:
    """They cover the side; the last is moved back; a side shorter than the window is one."""
    assert spans(10, 4, 3) == [(0, 4), (3, 7), (6, 10)]
    assert spans(11, 4, 3) == [(0, 4), (3, 7), (6, 10), (7, 11)]
    assert spans(3, 4, 3) == [(0, 3)]
    assert spans(4, 4, 4) == [(0, 4)]


@given(pixels=PIXELS, length=LENGTHS, cells=SIDES, window=LENGTHS, align_corners=st.booleans())
def test_weights_are_shares(pixels: int, length: int, cells: int, window: int, align_corners: bool) -> None:
    """Not below 0, and of each pixel 1 in all: what the cells agree on, the pixel is."""
    parts = [(one, cells) for one in spans(length, window, window)]
    weights = axis_weights(pixels, length, parts, align_corners=align_corners)
    assert all((one >= 0).all() for one in weights)
    total = torch.stack([one.sum(1) for one in weights]).sum(0)
    torch.testing.assert_close(total, torch.ones(pixels, dtype=torch.float64))
