"""From a method and class counts to the module that computes its training losses.

The one place that chooses by the kind of a method. Letters: N images, K classes, D channels of the features
before the classifier, H W label size, h w feature size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from trainer.losses.blv import Blv
from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import CrossEntropy
from trainer.losses.dice import Dice
from trainer.losses.focal import Focal
from trainer.losses.ldam import Ldam
from trainer.losses.logit_adjusted import BalancedSoftmax, LogitAdjusted, scaled_log_prior
from trainer.losses.lovasz import Lovasz
from trainer.losses.ohem import Ohem
from trainer.losses.recall import Recall
from trainer.losses.reduction import Average, LossSum, StepUnits, mean_over_ranks, mean_over_step
from trainer.losses.region_branch import RegionBranch
from trainer.losses.region_classifier import EtfRegionClassifier, Projection, RegionClassifier
from trainer.losses.reweighted import Reweighted
from trainer.losses.seesaw import Seesaw
from trainer.results.metrics import Group
from trainer.spec import methods
from trainer.spec.methods import AnyMethod


class Criterion(nn.Module):
    """Weighted means of pixel losses, and of a region branch where the method has one.

    L = sum of pixel losses + lambda * L_region (arXiv 2204.01969, Eq. 9).
    """

    prediction_shift: Tensor | None
    step_units: StepUnits | None = None  # of the step at hand, where it is taken in parts

    def __init__(
        self,
        num_classes: int,
        pixel_losses: Mapping[str, nn.Module],
        region_branch: RegionBranch | None = None,
        region_weight: float = 0.0,
        prediction_shift: Tensor | None = None,
        loss_average: Average = "valid",
    ) -> None:
        """`pixel_losses`: name in the log, "loss_...", to a module from (logits, target) to a LossSum.

        `prediction_shift`: (K,) to take off the logits of every prediction, and of none in training (Menon et
        al. 2021, Eq. 9); kept in no state dict.
        `loss_average`: what losses that are means over pixels are divided by.
        """
        super().__init__()
        self.num_classes = num_classes
        self.pixel_losses = nn.ModuleDict(pixel_losses)
        self.region_branch = region_branch
        self.region_weight = region_weight
        self.loss_average: Average = loss_average
        self.register_buffer("prediction_shift", prediction_shift, persistent=False)

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
            "loss_lovasz", "loss_region" (lambda included). "num_regions" and "region_acc..." are for the
            log (`RegionBranch`; NaN where no region counts). With `step_units` a loss is the part of the
            step's mean that this call adds. A loss without a single valid pixel on any rank
            is 0 with a graph.

        Raises:
            ValueError: shapes do not fit each other or the class counts, or a label is out of range.
        """
        if logits.shape[1] != self.num_classes:
            raise ValueError(
                f"{logits.shape[1]} logits for each pixel, but class counts for {self.num_classes} classes"
            )
        logged: dict[str, Tensor] = {}
        # First, so that backward comes to it last: its gradient is as large as the features, and would be
        # held through the peak of memory, which is in the pixel losses' backward.
        region = self.region_branch(features, target) if self.region_branch is not None else None
        sums: dict[str, LossSum] = {name: loss(logits, target) for name, loss in self.pixel_losses.items()}
        if region is not None:
            sums["loss_region"], logged = region
        means = self._means(sums, target.numel())
        if self.region_branch is not None:
            means["loss_region"] = self.region_weight * means["loss_region"]
        return {**means, **logged}

    def _means(self, sums: Mapping[str, LossSum], pixels: int) -> dict[str, Tensor]:
        """The one division: by this step's units, or by those that its labels hold in all its parts."""
        losses: dict[str, Any] = {**self.pixel_losses, "loss_region": self.region_branch}
        if self.step_units is not None and all(losses[name].mean_over != "own" for name in sums):
            return {
                name: mean_over_step(item, self.step_units.of(losses[name].mean_over, self.loss_average))
                for name, item in sums.items()
            }
        if self.loss_average == "all":
            over_pixels = {name: item for name, item in sums.items() if losses[name].mean_over == "pixels"}
            sums = {
                **sums,
                **{n: LossSum(s.total, torch.full_like(s.units, pixels)) for n, s in over_pixels.items()},
            }
        return dict(zip(sums, mean_over_ranks(*sums.values()), strict=True))


def build_criterion(
    method: AnyMethod,
    *,
    pixel_counts: Sequence[int],
    region_counts: Sequence[int],
    feature_channels: int,
    ignore_index: int,
    seed: int,
    align_corners: bool,
    class_groups: Sequence[Group] | None = None,
    loss_average: Average = "valid",
) -> Criterion:
    """The criterion of `method`. Draws nothing from any global random stream.

    Args:
        method: what to compute, with its parameters.
        pixel_counts: pixels of each class in the training split, in label order; K integers >= 0. In priors
            a class that never occurs counts once (`trainer.losses.class_counts`).
        region_counts: training images that contain each class; likewise.
        feature_channels: D.
        ignore_index: the label of pixels that count nowhere.
        seed: of the region branch's initialisation and dropout, and of noise on the logits.
        align_corners: how features are upsampled to label size.
        class_groups: of each class, in label order; for the log of a region branch alone. None: no groups.
        loss_average: what losses that are means over pixels are divided by.

    Raises:
        ValueError: counts or groups of different lengths; counts negative, not integers, or none above zero;
            `classifier: "etf"` with more classes than its hidden layer has units (512).
    """
    if len(pixel_counts) != len(region_counts):
        raise ValueError(f"{len(pixel_counts)} pixel counts but {len(region_counts)} region counts")
    for table in (pixel_counts, region_counts):
        floored_counts(table)  # its errors: the method at hand may look at one table, or at none
    num_classes = len(pixel_counts)
    if class_groups is not None and len(class_groups) != num_classes:
        raise ValueError(f"{len(class_groups)} class groups but counts for {num_classes} classes")
    counts = _prior_counts(method, pixel_counts, region_counts)
    shift = shift_of_predictions(method, pixel_counts=pixel_counts, region_counts=region_counts)
    branch, region_weight = None, 0.0
    if isinstance(method, methods.RegionRebalance):
        region_weight = method.region_weight
        branch = _region_branch(
            method,
            region_counts=region_counts,
            feature_channels=feature_channels,
            ignore_index=ignore_index,
            seed=seed,
            align_corners=align_corners,
            class_groups=class_groups,
        )
    losses = _pixel_losses(method, counts, ignore_index=ignore_index, seed=seed)
    return Criterion(
        num_classes, losses, branch, region_weight, prediction_shift=shift, loss_average=loss_average
    )


def shift_of_predictions(
    method: AnyMethod, *, pixel_counts: Sequence[int], region_counts: Sequence[int]
) -> Tensor | None:
    """(K,) what `method` takes off the logits of every prediction, and of none in training; None for most."""
    if not isinstance(method, methods.LogitAdjustment) or method.mode != "post_hoc":
        return None
    counts = _prior_counts(method, pixel_counts, region_counts)
    return scaled_log_prior(counts, temperature=method.temperature)


def _prior_counts(
    method: AnyMethod, pixel_counts: Sequence[int], region_counts: Sequence[int]
) -> Sequence[int]:
    """What `method` takes for the frequency of the classes: pixels, where it does not say."""
    return region_counts if getattr(method, "prior", "pixel") == "region" else pixel_counts


def _pixel_losses(
    method: AnyMethod, counts: Sequence[int], *, ignore_index: int, seed: int
) -> dict[str, nn.Module]:
    """The pixel losses of `method` by their names in the log; `counts` are those of its prior."""
    plain = {"loss_pixel": CrossEntropy(ignore_index=ignore_index)}
    loss: nn.Module
    match method:
        case methods.Baseline() | methods.RegionRebalance() | methods.LogitAdjustment(mode="post_hoc"):
            return {**plain}
        case methods.Dice():
            loss = Dice(form=method.form, ignore_index=ignore_index)
            return {"loss_dice": loss, **(plain if method.cross_entropy else {})}
        case methods.Lovasz():
            loss = Lovasz(scope=method.scope, ignore_index=ignore_index)
            return {"loss_lovasz": loss, **(plain if method.cross_entropy else {})}
        case methods.Focal():
            loss = Focal(gamma=method.gamma, ignore_index=ignore_index)
        case methods.Ohem(threshold=threshold, min_kept=kept):
            loss = Ohem(threshold=threshold, min_kept=kept, ignore_index=ignore_index)
        case methods.Seesaw(mitigation=p, compensation=q):
            loss = Seesaw(len(counts), mitigation=p, compensation=q, ignore_index=ignore_index)
        case methods.Recall():
            loss = Recall(ignore_index=ignore_index)
        case _:
            loss = _prior_loss(method, counts, ignore_index=ignore_index, seed=seed)
    return {"loss_pixel": loss}


def _prior_loss(
    method: methods.Reweighting
    | methods.BalancedSoftmax
    | methods.LogitAdjustment
    | methods.Ldam
    | methods.Blv,
    counts: Sequence[int],
    *,
    ignore_index: int,
    seed: int,
) -> nn.Module:
    """The pixel loss of a method that needs to know how often each class occurs."""
    match method:
        case methods.Reweighting():
            beta = method.beta if method.weights == "effective_number" else None
            return Reweighted(counts, beta=beta, ignore_index=ignore_index)
        case methods.BalancedSoftmax():
            return BalancedSoftmax(counts, ignore_index=ignore_index)
        case methods.LogitAdjustment():
            return LogitAdjusted(counts, temperature=method.temperature, ignore_index=ignore_index)
        case methods.Ldam(max_margin=margin, scale=scale):
            return Ldam(counts, max_margin=margin, scale=scale, ignore_index=ignore_index)
        case methods.Blv():
            return Blv(counts, sigma=method.sigma, seed=seed, ignore_index=ignore_index)
        case _:
            assert_never(method)


def _region_branch(
    method: methods.RegionRebalance,
    *,
    region_counts: Sequence[int],
    feature_channels: int,
    ignore_index: int,
    seed: int,
    align_corners: bool,
    class_groups: Sequence[Group] | None,
) -> RegionBranch:
    """The branch of `method`; arguments and errors as in `build_criterion`."""
    num_classes = len(region_counts)
    projected = method.projection
    classifier = EtfRegionClassifier if method.classifier == "etf" else RegionClassifier
    groups: tuple[Group, ...] = () if class_groups is None else ("head", "tail")
    return RegionBranch(
        classifier(projected or feature_channels, num_classes, seed=seed),
        num_classes=num_classes,
        region_counts=region_counts if method.rebalance == "balanced_softmax" else None,
        projection=Projection(feature_channels, projected, seed=seed) if projected else None,
        label_smoothing=method.label_smoothing,
        groups={name: [k for k, group in enumerate(class_groups or ()) if group == name] for name in groups},
        scope=method.scope,
        ignore_index=ignore_index,
        align_corners=align_corners,
    )
