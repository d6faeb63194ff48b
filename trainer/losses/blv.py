"""Balancing logit variation: noise on the logits in training, more of it for rarer classes.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.own_random import own_generator
from trainer.losses.parameters import require
from trainer.losses.pixels import check_per_class, wide
from trainer.losses.reduction import LossSum, Unit, rank


def variation_of(class_counts: Sequence[int]) -> Tensor:
    """(K,) float32 in [0, 1], c / max c with c_k = log(all pixels / pixels of k); 1 for the rarest class.

    A class that never occurs is counted once (`floored_counts`). Where there is but one class it is 0.

    Raises:
        ValueError: see `floored_counts`.

    Source: Wang et al. 2023 (arXiv 2306.02061), in the form of the authors' corrected code; their first
    release had the largest count in the place of the sum, so no noise at all on the most frequent class.
    """
    counts = floored_counts(class_counts)
    scales = counts.sum().log() - counts.log()
    return (scales / scales.max().clamp(min=torch.finfo(scales.dtype).tiny)).float()


def blv(
    logits: Tensor, target: Tensor, variation: Tensor, noise: Tensor, *, ignore_index: int = 255
) -> LossSum:
    """Sum over valid pixels of the cross-entropy of z_k + variation_k |noise_k|, and how many those are.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        variation: (K,), of `variation_of`.
        noise: (N, K, H, W), of `clipped_noise`; zeros are `cross_entropy`, bit for bit.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: shapes do not fit each other, or a label is out of range.

    Source: Wang et al. 2023 (arXiv 2306.02061); clipping and absolute value as in the authors' code.
    """
    values = wide(logits)
    check_per_class("variation", variation, num_classes=logits.shape[1])
    scales = variation.to(values.dtype)[:, None, None]
    return cross_entropy(values + scales * noise.abs(), target, ignore_index=ignore_index)


@torch.no_grad()
def clipped_noise(like: Tensor, *, sigma: float, generator: torch.Generator) -> Tensor:
    """Normal numbers of deviation `sigma`, clipped to [-1, 1]: (N, K, H, W) as `like`, float32 or wider."""
    noise = torch.empty_like(wide(like), memory_format=torch.contiguous_format)
    return noise.normal_(generator=generator).mul_(sigma).clamp_(-1, 1)


class Blv(nn.Module):
    """`blv` with the variation of the class counts it is made with, and a random stream of its own.

    Each step's noise comes from a generator seeded by (seed, rank, step); `step` is part of the state, so a
    resumed run goes on with the noise it would have had. In eval mode there is none.
    """

    variation: Tensor
    step: Tensor

    mean_over: Unit = "pixels"

    def __init__(
        self, class_counts: Sequence[int], *, sigma: float = 4.0, seed: int = 0, ignore_index: int = 255
    ) -> None:
        super().__init__()
        require("sigma", sigma, sigma >= 0, "a finite number >= 0")
        self.sigma, self.seed, self.ignore_index = sigma, seed, ignore_index
        self.register_buffer("variation", variation_of(class_counts), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `blv`. In training mode it moves `step` on."""
        if not self.training:
            return cross_entropy(logits, target, ignore_index=self.ignore_index)
        generator = own_generator(self.seed, rank(), int(self.step), device=logits.device)
        noise = clipped_noise(logits, sigma=self.sigma, generator=generator)
        loss = blv(logits, target, self.variation, noise, ignore_index=self.ignore_index)
        self.step += 1
        return loss
