"""From sums to means. A loss returns a sum and how many things it summed; the one division happens here.

Dividing by the count over all ranks makes a loss independent of how a batch is split over workers.
"""

from __future__ import annotations

from typing import NamedTuple

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
