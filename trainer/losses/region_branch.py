"""The region classification branch: region features in, a rebalanced cross-entropy over regions out.

It exists in training only. Letters: N images, K classes, D channels of the features before the classifier,
H W label size, h w feature size, R regions present.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.losses.logit_adjusted import adjusted, log_prior_of
from trainer.losses.pixels import wide
from trainer.losses.reduction import LossSum, rank
from trainer.losses.region import RegionFeatures, Scope, region_mean_features


def region_cross_entropy(logits: Tensor, class_ids: Tensor, *, log_prior: Tensor | None = None) -> LossSum:
    """Sum over regions of the cross-entropy of logits (+ log prior), and the number R of regions.

    Args:
        logits: (R, K) of the region classifier, any float type; R may be 0.
        class_ids: (R,) int64 in [0, K).
        log_prior: (K,) log of the prior; left out, the paper's ablation I.

    Source: arXiv 2204.01969, Eq. (8), up to the division by R.
    """
    values = wide(logits) if log_prior is None else adjusted(logits, log_prior)
    total = functional.cross_entropy(values, class_ids, reduction="sum")
    return LossSum(total, torch.tensor(len(class_ids), device=logits.device))


class RegionClassifier(nn.Module):
    """Linear D -> hidden, ReLU, dropout, Linear hidden -> K; draws nothing from a global random stream.

    Parameters come from a generator of their own, each dropout mask from one seeded by (seed, rank, step);
    `step` is part of the state, so a resumed run goes on with the masks it would have had. There is no
    `nn.Linear` inside: an initialisation by layer type, as some mmseg heads ask for, would find it and draw
    for it from the stream that the pixel path's weights come from.
    """

    step: Tensor

    def __init__(
        self, channels: int, num_classes: int, *, hidden: int = 512, dropout: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        self.dropout, self.seed = dropout, seed
        generator = torch.Generator().manual_seed(seed)
        self.hidden_weight, self.hidden_bias = _linear(hidden, channels, generator)
        self.output_weight, self.output_bias = _linear(num_classes, hidden, generator)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """(R, K) logits of (R, D) region features."""
        hidden = functional.linear(features, self.hidden_weight, self.hidden_bias).relu()
        if self.training and self.dropout > 0:
            hidden = hidden * self._mask(hidden)
        return functional.linear(hidden, self.output_weight, self.output_bias)

    @torch.no_grad()
    def _mask(self, hidden: Tensor) -> Tensor:
        """0 with probability `dropout`, else 1 / (1 - dropout); like `hidden`. Moves `step` on."""
        key = f"{self.seed},{rank()},{int(self.step)}".encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1
        self.step += 1
        generator = torch.Generator(hidden.device).manual_seed(seed)
        kept = torch.empty_like(hidden).bernoulli_(1 - self.dropout, generator=generator)
        return kept.div_(1 - self.dropout)


class RegionBranch(nn.Module):
    """Pools features over regions, classifies the regions, and compares with their classes."""

    log_prior: Tensor | None

    def __init__(
        self,
        classifier: nn.Module,
        *,
        num_classes: int,
        region_counts: Sequence[int] | None,
        scope: Scope = "image",
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> None:
        """`region_counts`: training images that contain each class, F of Eq. (8); None for no rebalancing."""
        super().__init__()
        self.classifier = classifier
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.scope: Scope = scope
        self.align_corners = align_corners
        prior = None if region_counts is None else log_prior_of(region_counts)
        self.register_buffer("log_prior", prior, persistent=False)

    def forward(self, features: Tensor, target: Tensor) -> tuple[LossSum, dict[str, Tensor]]:
        """The region loss and what to log of it, for (N, D, h, w) features and (N, H, W) int64 labels.

        Logged, () float32 each, of this rank: `num_regions`, and `region_acc`, the percentage of regions
        whose logits (without the prior) name their class; 0 where there are none.
        """
        regions = self.pool(features, target)
        logits = self.classifier(regions.features)
        loss = region_cross_entropy(logits, regions.class_ids, log_prior=self.log_prior)
        with torch.no_grad():
            correct = (logits.argmax(dim=1) == regions.class_ids).sum()
            accuracy = 100.0 * correct / loss.units.clamp(min=1)
        return loss, {"num_regions": loss.units.float(), "region_acc": accuracy}

    def pool(self, features: Tensor, target: Tensor) -> RegionFeatures:
        """The regions of a batch; see `region_mean_features`."""
        return region_mean_features(
            features,
            target,
            num_classes=self.num_classes,
            ignore_index=self.ignore_index,
            scope=self.scope,
            align_corners=self.align_corners,
        )


def _linear(outputs: int, inputs: int, generator: torch.Generator) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight (outputs, inputs) and bias (outputs,), distributed as `nn.Linear` would draw them."""
    bound = 1 / math.sqrt(inputs)
    weight = torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator)
    bias = torch.empty(outputs).uniform_(-bound, bound, generator=generator)
    return nn.Parameter(weight), nn.Parameter(bias)
