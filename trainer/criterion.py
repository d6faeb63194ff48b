"""From a method and class counts to the module that computes its training losses.

The one place that chooses by the kind of a method. Letters: N images, K classes, D channels of the features
before the classifier, H W label size, h w feature size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from torch import Tensor, nn

from trainer.losses.cross_entropy import CrossEntropy
from trainer.losses.dice import Dice
from trainer.losses.logit_adjusted import BalancedSoftmax
from trainer.losses.reduction import LossSum, mean_over_ranks
from trainer.losses.region_branch import RegionBranch, RegionClassifier
from trainer.losses.reweighted import Reweighted
from trainer.methods import AnyMethod
from trainer.methods import BalancedSoftmax as BalancedSoftmaxMethod
from trainer.methods import Baseline as BaselineMethod
from trainer.methods import Dice as DiceMethod
from trainer.methods import RegionRebalance as RegionRebalanceMethod
from trainer.methods import Reweighting as ReweightingMethod


class Criterion(nn.Module):
    """Weighted means of pixel losses, and of a region branch where the method has one.

    L = sum of pixel losses + lambda * L_region (arXiv 2204.01969, Eq. 9).
    """

    def __init__(
        self,
        num_classes: int,
        pixel_losses: Mapping[str, nn.Module],
        region_branch: RegionBranch | None = None,
        region_weight: float = 0.0,
    ) -> None:
        """`pixel_losses`: name in the log, "loss_...", to a module from (logits, target) to a LossSum."""
        super().__init__()
        self.num_classes = num_classes
        self.pixel_losses = nn.ModuleDict(pixel_losses)
        self.region_branch = region_branch
        self.region_weight = region_weight

    def forward(self, logits: Tensor, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The losses of one step, and what to log beside them; () tensors.

        With several ranks this is a collective call, and each loss is scaled so that the average of the
        ranks' gradients is that of the mean over all ranks' pixels or regions.

        Args:
            logits: (N, K, H, W), at label size.
            features: (N, D, h, w), what the last classifier got; unused without a region branch.
            target: (N, H, W) int64, in [0, K) or the ignored label.

        Returns:
            Keys that start with "loss_" are to be summed and differentiated: "loss_pixel", "loss_dice",
            "loss_region" (lambda included). "num_regions" and "region_acc" are for the log. A loss without a
            single valid pixel on any rank is 0 with a graph.

        Raises:
            ValueError: shapes do not fit each other or the class counts, or a label is out of range.
        """
        if logits.shape[1] != self.num_classes:
            raise ValueError(
                f"{logits.shape[1]} logits for each pixel, but class counts for {self.num_classes} classes"
            )
        sums: dict[str, LossSum] = {name: loss(logits, target) for name, loss in self.pixel_losses.items()}
        logged: dict[str, Tensor] = {}
        if self.region_branch is not None:
            sums["loss_region"], logged = self.region_branch(features, target)
        means = dict(zip(sums, mean_over_ranks(*sums.values()), strict=True))
        if self.region_branch is not None:
            means["loss_region"] = self.region_weight * means["loss_region"]
        return {**means, **logged}


def build_criterion(
    method: AnyMethod,
    *,
    pixel_counts: Sequence[int],
    region_counts: Sequence[int],
    feature_channels: int,
    ignore_index: int,
    seed: int,
    align_corners: bool,
) -> Criterion:
    """The criterion of `method`. Draws nothing from any global random stream.

    Args:
        method: what to compute, with its parameters.
        pixel_counts: pixels of each class in the training split, in label order; K integers >= 0. In priors
            and weights a class that never occurs counts once (`trainer.losses.class_counts`).
        region_counts: training images that contain each class; likewise.
        feature_channels: D.
        ignore_index: the label of pixels that count nowhere.
        seed: of the region branch's initialisation and dropout.
        align_corners: how features are upsampled to label size.

    Raises:
        ValueError: counts of different lengths, negative, not integers, or none above zero.
    """
    if len(pixel_counts) != len(region_counts):
        raise ValueError(f"{len(pixel_counts)} pixel counts but {len(region_counts)} region counts")
    num_classes = len(pixel_counts)
    cross_entropy = CrossEntropy(ignore_index=ignore_index)
    match method:
        case BaselineMethod():
            return Criterion(num_classes, {"loss_pixel": cross_entropy})
        case ReweightingMethod():
            return Criterion(num_classes, {"loss_pixel": Reweighted(pixel_counts, ignore_index=ignore_index)})
        case BalancedSoftmaxMethod():
            counts = pixel_counts if method.prior == "pixel" else region_counts
            return Criterion(num_classes, {"loss_pixel": BalancedSoftmax(counts, ignore_index=ignore_index)})
        case DiceMethod():
            losses: dict[str, nn.Module] = {"loss_dice": Dice(ignore_index=ignore_index)}
            if method.cross_entropy:
                losses["loss_pixel"] = cross_entropy
            return Criterion(num_classes, losses)
        case RegionRebalanceMethod():
            branch = RegionBranch(
                RegionClassifier(feature_channels, num_classes, seed=seed),
                num_classes=num_classes,
                region_counts=region_counts if method.rebalance == "balanced_softmax" else None,
                scope=method.scope,
                ignore_index=ignore_index,
                align_corners=align_corners,
            )
            return Criterion(num_classes, {"loss_pixel": cross_entropy}, branch, method.region_weight)
        case _:
            assert_never(method)
