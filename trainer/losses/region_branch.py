"""The region classification branch: region features in, a rebalanced cross-entropy over regions out.

It exists in training only. Letters: N images, K classes, D channels of the features before the classifier,
H W label size, h w feature size, R regions present.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.losses.logit_adjusted import adjusted, log_prior_of
from trainer.losses.pixels import wide
from trainer.losses.reduction import LossSum, Unit
from trainer.losses.region import RegionFeatures, Scope, region_mean_features


def region_cross_entropy(
    logits: Tensor, class_ids: Tensor, *, log_prior: Tensor | None = None, label_smoothing: float = 0.0
) -> LossSum:
    """Sum over regions of the cross-entropy of logits (+ log prior), and the number R of regions.

    Args:
        logits: (R, K) of the region classifier, any float type; R may be 0.
        class_ids: (R,) int64 in [0, K).
        log_prior: (K,) log of the prior; left out, the paper's ablation I.
        label_smoothing: ε of torch's `cross_entropy`: a region's own class gets 1 - ε + ε / K, each other one
            ε / K. (The authors' `smooth` s is what the own class gets: ε = (1 - s) K / (K - 1).)

    Source: arXiv 2204.01969, Eq. (8), up to the division by R.
    """
    values = wide(logits) if log_prior is None else adjusted(logits, log_prior)
    total = functional.cross_entropy(values, class_ids, reduction="sum", label_smoothing=label_smoothing)
    return LossSum(total, torch.tensor(len(class_ids), device=logits.device))


class RegionBranch(nn.Module):
    """Pools features over regions, classifies the regions, and compares with their classes."""

    log_prior: Tensor | None

    def __init__(
        self,
        classifier: nn.Module,
        *,
        num_classes: int,
        region_counts: Sequence[int] | None,
        projection: nn.Module | None = None,
        label_smoothing: float = 0.0,
        groups: Mapping[str, Sequence[int]] | None = None,
        scope: Scope = "image",
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> None:
        """What is not plain from `region_mean_features` and `region_cross_entropy`:

        Args:
            classifier: from (R, D) region features to (R, K) logits; (R, P) with a projection.
            region_counts: training images that contain each class, F of Eq. (8); None for no rebalancing.
            projection: from (N, D, h, w) features to the (N, P, h, w) that are pooled; None pools the former.
            groups: names, and class ids in [0, K), of groups whose accuracy is logged by itself.
        """
        super().__init__()
        self.classifier, self.projection = classifier, projection
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.label_smoothing = label_smoothing
        self.scope: Scope = scope
        self.mean_over: Unit = "regions" if scope == "image" else "own"
        self.align_corners = align_corners
        prior = None if region_counts is None else log_prior_of(region_counts)
        self.register_buffer("log_prior", prior, persistent=False)
        self.accuracy = _Accuracy(num_classes, groups or {})

    def forward(self, features: Tensor, target: Tensor) -> tuple[LossSum, dict[str, Tensor]]:
        """The region loss and what to log of it, for (N, D, h, w) features and (N, H, W) int64 labels.

        Logged, () float32 each, of this rank: `num_regions`; `region_acc`, the percentage of regions whose
        logits (without the prior) name their class; `region_acc_GROUP`, the same among the regions of one
        group's classes. A percentage of no regions at all is NaN.
        """
        if self.projection is not None:
            features = self.projection(wide(features))
        regions = self.pool(features, target)
        logits = self.classifier(regions.features)
        loss = region_cross_entropy(
            logits, regions.class_ids, log_prior=self.log_prior, label_smoothing=self.label_smoothing
        )
        return loss, {"num_regions": loss.units.float(), **self.accuracy(logits, regions.class_ids)}

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


class _Accuracy(nn.Module):
    """Percentages of rightly classified regions, overall and by group of classes."""

    members: Tensor

    def __init__(self, num_classes: int, groups: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.names = tuple(groups)
        members = torch.zeros(len(groups), num_classes, dtype=torch.bool)
        for row, class_ids in zip(members, groups.values(), strict=True):
            row[list(class_ids)] = True
        self.register_buffer("members", members, persistent=False)

    @torch.no_grad()
    def forward(self, logits: Tensor, class_ids: Tensor) -> dict[str, Tensor]:
        """() float32 each, in percent, from (R, K) logits; NaN where no region counts."""
        right = logits.argmax(dim=1) == class_ids
        counted = self.members[:, class_ids]  # (groups, R)
        shares = (right & counted).sum(dim=1) / counted.sum(dim=1)
        named = {f"region_acc_{name}": 100 * share for name, share in zip(self.names, shares, strict=True)}
        return {"region_acc": 100 * right.sum() / len(right), **named}
