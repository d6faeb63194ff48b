"""Remark 1 class by class: both sides of the condition, and whether it was met."""

from __future__ import annotations

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Study, paired
from trainer.results.comparability import key_of
from trainer.results.remark import remark


def rows(study: Study) -> Rows:
    """A row for each class of each pair of runs, setting and reference, of the same seed.

    Both sides in percent of the class's labelled pixels n_y: `left` (FP' − (1+g)·FP)/n_y, `right` g.
    """
    found: list[Row] = []
    for setting, base in study.compared():
        for before, after in paired(setting, base):
            earlier = {key_of(one): one for one in before.scores.classes}
            for one in after.scores.classes:
                told = remark(earlier[key_of(one)], one)
                if told is None:
                    continue
                pixels = one.tp + one.fn
                found.append(
                    {
                        "setting": setting.label,
                        "reference": base.label,
                        "seed": after.seed,
                        "class": one.name,
                        "group": one.group,
                        "pixels": pixels,
                        "left": _share(told.false_positives, pixels),
                        "right": _share(told.allowance, pixels),
                        "met": told.held,
                        "acc_rose": told.acc_rose,
                        "iou_rose": told.iou_rose,
                    }
                )
    return found or Missing("a second setting, scored on the same labels as its reference")


def _share(value: float | None, pixels: int) -> float | None:
    return None if value is None else 100 * value / pixels
