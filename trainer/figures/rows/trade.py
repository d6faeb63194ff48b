"""Figure 8: IoU against Acc, and where the classes move between a reference and a setting."""

from __future__ import annotations

import math

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Study, by_frequency
from trainer.results.comparability import key_of

RATIOS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)  # FP/TP of the curves


def rows(study: Study) -> Rows:
    """A row for each class of each setting that can be compared: (Acc, IoU) before and after, in percent.

    `angle`: of the arrow between them, in degrees clockwise from straight up.
    """
    found: list[Row] = []
    for setting, base in study.compared():
        before = {field: base.class_means(field) for field in ("acc", "iou")}
        after = {field: setting.class_means(field) for field in ("acc", "iou")}
        for one in by_frequency(setting.runs[0].scores.classes):
            key = key_of(one)
            numbers = [before["acc"].get(key), before["iou"].get(key), after["acc"][key], after["iou"][key]]
            if any(number is None for number in numbers):
                continue
            acc, iou, new_acc, new_iou = (float(number or 0) for number in numbers)
            found.append(
                {
                    "setting": setting.label,
                    "reference": base.label,
                    "class": one.name,
                    "group": one.group,
                    "acc_before": acc,
                    "iou_before": iou,
                    "acc_after": new_acc,
                    "iou_after": new_iou,
                    "angle": math.degrees(math.atan2(new_acc - acc, new_iou - iou)),
                }
            )
    return found or Missing("a second setting, scored on the same labels as its reference")
