"""From sums to means. A loss returns a sum and how many things it summed; the one division happens here.

Dividing by the count over all ranks makes a loss independent of how a batch is split over workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, distributed


class LossSum(NamedTuple):
    """A loss before its one division."""

    total: Tensor  # () float32 or float64, summed over this rank's pixels or regions; differentiable
    units: Tensor  # () int64, how many pixels, or regions, that is; 0 is fine


def mean_over_ranks(*sums: LossSum) -> tuple[Tensor, ...]:
    """One mean for each sum, () each: its total over the units of all ranks, times the number of ranks.

    Data-parallel training averages gradients over ranks: the factor makes that average the gradient of the
    mean over all units of all ranks, wherever they lie. No unit anywhere gives 0 with a graph.
    Where no process group is initialised this is total / units. A collective call: every rank must make it.
    """
    counts = torch.stack([item.units for item in sums])
    ranks = world_size()
    if ranks > 1:
        distributed.all_reduce(counts)  # one exchange for all losses of a step
    divisors = counts.clamp(min=1)
    return tuple(item.total * ranks / divisor for item, divisor in zip(sums, divisors, strict=True))


# What a loss is a mean over; own: what labels do not tell.
Unit = Literal["pixels", "regions", "images", "all_images", "own"]

Average = Literal["valid", "all"]  # pixels that a mean over pixels is over


class StepUnits(NamedTuple):
    """What the labels of one step of the optimiser hold: in all its parts, on all ranks. () int64 each."""

    valid: Tensor  # pixels that are not void
    pixels: Tensor  # all, those of padding too
    regions: Tensor  # pairs of a picture and a class in it
    images: Tensor  # with a pixel that is not void
    all_images: Tensor  # those of void alone too

    def of(self, unit: Unit, average: Average) -> Tensor:
        """The divisor of a loss that is a mean over `unit`; pixels as `average` counts them."""
        if unit == "pixels":
            return self.valid if average == "valid" else self.pixels
        assert unit != "own", "labels do not tell"
        divisors = {"regions": self.regions, "images": self.images, "all_images": self.all_images}
        return divisors[unit]


def count_units(
    labels: Iterable[Tensor], *, pixels_each: int, num_classes: int, ignore_index: int, device: torch.device
) -> StepUnits:
    """The units of a step. A collective call.

    Args:
        labels: of each picture, any shape of integers, on the CPU.
        pixels_each: of a picture after padding.
        device: where the losses are computed, and ranks speak to each other.
    """
    counts = torch.stack(
        [picture.flatten().bincount(minlength=ignore_index + 1)[:num_classes] for picture in labels]
    )
    of_images = counts.sum(dim=1)
    valid, regions, images = of_images.sum(), counts.count_nonzero(), of_images.count_nonzero()
    pixels, all_images = torch.tensor(len(counts) * pixels_each), torch.tensor(len(counts))
    summed = sum_over_ranks(torch.stack([valid, pixels, regions, images, all_images]).to(device))
    return StepUnits(*summed.unbind())


def mean_over_step(item: LossSum, units: Tensor) -> Tensor:
    """() The part that `item` is of a step's mean: its total over the step's units, times the ranks.

    As in `mean_over_ranks` averaging over ranks undoes the factor; the parts of a step add up.
    """
    return item.total * world_size() / units.clamp(min=1)


def sum_over_ranks(counts: Tensor) -> Tensor:
    """`counts` added up over all ranks; the argument itself where there is one. A collective call."""
    if world_size() == 1:
        return counts
    summed = counts.clone()
    distributed.all_reduce(summed)
    return summed


def world_size() -> int:
    """Number of ranks in the default process group; 1 without one."""
    return distributed.get_world_size() if _initialised() else 1


def rank() -> int:
    """This process's rank in the default process group; 0 without one."""
    return distributed.get_rank() if _initialised() else 0


def _initialised() -> bool:
    return distributed.is_available() and distributed.is_initialized()
