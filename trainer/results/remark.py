"""Remark 1 of arXiv 2204.01969: when a gain in a class's accuracy is a gain in its IoU.

Let Acc of a class with n_y labelled pixels go from A to (1 + g)·A. Then its IoU rises if and only if
FP_after − (1 + g)·FP_before < g·n_y. The paper writes K for g and asks for g >= 0; the equivalence holds
for a loss as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.results.report import ClassScore


class Remark(StrictModel):
    """Remark 1 for one class: the numbers are in pixels, null where there was no true positive before."""

    gain: float | None = Field(description="g = TP_after / TP_before − 1.")
    false_positives: float | None = Field(description="Left side: FP_after − (1 + g)·FP_before.")
    allowance: float | None = Field(description="Right side: g·n_y.")
    held: bool = Field(description="Left < right, multiplied by TP_before and decided in integers.")
    acc_rose: bool
    iou_rose: bool


class RemarkSummary(StrictModel):
    """How many classes, of those with a pixel in the labels. The paper speaks of those whose Acc rose."""

    classes: int
    acc_rose: int
    held: int = Field(description="Of those whose Acc rose: where the inequality held, so IoU rose too.")
    iou_rose: int = Field(description="Of all: where the inequality held, whatever Acc did.")


def remark(before: ClassScore, after: ClassScore) -> Remark | None:
    """Remark 1 for one class in two evaluations on the same labels; None where n_y is 0 or differs.

    Without a true positive before there is no g. The inequality is then read as multiplied by TP_before = 0:
    −TP_after·FP_before < TP_after·n_y. It holds as soon as there is a true positive afterwards, which is also
    when the IoU rises from 0.
    """
    n_y = before.tp + before.fn
    if not n_y or after.tp + after.fn != n_y:
        return None
    left = before.tp * after.fp - after.tp * before.fp
    right = (after.tp - before.tp) * n_y
    return Remark(
        gain=_ratio(after.tp - before.tp, before.tp),
        false_positives=_ratio(left, before.tp),
        allowance=_ratio(right, before.tp),
        held=left < right,
        acc_rose=after.tp > before.tp,
        iou_rose=after.tp * (n_y + before.fp) > before.tp * (n_y + after.fp),
    )


def summary(remarks: Sequence[Remark | None]) -> RemarkSummary | None:
    """Counts over the classes that have a remark, None where none has."""
    found = [one for one in remarks if one is not None]
    if not found:
        return None
    return RemarkSummary(
        classes=len(found),
        acc_rose=sum(one.acc_rose for one in found),
        held=sum(one.held for one in found if one.acc_rose),
        iou_rose=sum(one.iou_rose for one in found),
    )


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
