from __future__ import annotations

import pytest
import torch

from trainer.losses.class_counts import floored_counts
from trainer.losses.pixels import check_labels, check_pixels, safe_target, valid_pixels, wide


def test_ignored_pixels_are_not_valid_and_index_class_zero() -> None:
    """The mask is False exactly where the label is the ignored one, and there the safe label is 0."""
    target = torch.tensor([[0, 255, 3]])
    valid = valid_pixels(target, 255)
    assert valid.tolist() == [[True, False, True]]
    assert safe_target(target, valid).tolist() == [[0, 0, 3]]


def test_losses_are_summed_in_float32_or_wider() -> None:
    """Half types widen to float32; float64 stays."""
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    widened = [wide(torch.zeros(1, dtype=kind)).dtype for kind in kinds]
    assert widened == [torch.float32, torch.float32, torch.float32, torch.float64]


@pytest.mark.parametrize("label", [-1, 3, 254])
def test_a_label_out_of_range_is_named(label: int) -> None:
    """A label that is no class and not ignored is refused, with its value and what is allowed."""
    target = torch.tensor([[[0, label, 255]]])
    with pytest.raises(ValueError, match=rf"{label}.*allowed: 0 to 2, or 255"):
        check_pixels(torch.zeros(1, 3, 1, 3), target, num_classes=3, ignore_index=255)


@pytest.mark.parametrize(
    ("maps", "target", "match"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), "labels, got"),
        (torch.zeros(3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), "labels, got"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.int64), "labels, got"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.int64), torch.zeros(1, 4, 4, dtype=torch.int64), "floating"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8), "int64"),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_refused(
    maps: torch.Tensor, target: torch.Tensor, match: str
) -> None:
    """Another number of images or dimensions, or another type, raises before any arithmetic."""
    with pytest.raises(ValueError, match=match):
        check_pixels(maps, target, num_classes=3, ignore_index=255)


def test_no_labels_are_fine() -> None:
    """An empty batch has nothing out of range."""
    check_labels(torch.zeros(0, 4, 4, dtype=torch.int64), num_classes=3, ignore_index=255)


def test_counts_below_one_are_floored() -> None:
    """A class that never occurs is counted once, others as they are."""
    assert floored_counts([0, 1, 10**12]).tolist() == [1, 1, 10**12]


@pytest.mark.parametrize(
    "counts", [[1, -1], [1, float("nan")], [1, float("inf")], [0, 0], [], [2, 1.5]], ids=str
)
def test_counts_that_are_none_are_refused(counts: list[int]) -> None:
    """Negative, fractional or missing counts, and a table in which no class occurs, raise."""
    with pytest.raises(ValueError, match=r"class counts|classes occurs"):
        floored_counts(counts)
