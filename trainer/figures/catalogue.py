"""Every figure: its name, what it is called after the paper's, what is drawn, and from which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainer.figures.rows import (
    ablation,
    classes,
    confusion,
    cost,
    curves,
    frequencies,
    gain,
    pictures,
    remark,
    seeds,
    trade,
)
from trainer.figures.rows.row import Rows
from trainer.figures.study import Study


@dataclass(frozen=True)
class Kind:
    """One figure.

    Attributes:
        name: of its files and in addresses.
        title: what it is called.
        drawn: what its marks are, for its caption. docs/reports.md says more.
        rows: what it shows.
    """

    name: str
    title: str
    drawn: str
    rows: Callable[[Study], Rows]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "figure1",
            "Figure 1: gain by model",
            "Bars: mean difference to the baseline with the same model, data and seed. Points: seeds. Lines:"
            " 95 % interval of that mean, from three seeds on. Ticks: what the paper reports for the recipe.",
            gain.rows,
        ),
        Kind(
            "seeds",
            "Every run",
            "Points: runs. Ticks: means over seeds. Lines: 95 % intervals of the means (Student's t),"
            " from three seeds on.",
            seeds.rows,
        ),
        Kind(
            "figure3",
            "Figures 3 and 6: ΔIoU and ΔAcc of every class",
            "Bars: difference of means over seeds to the reference, classes with most training pixels first."
            " Shaded: head, body and tail by training pixels.",
            classes.rows,
        ),
        Kind(
            "figure4",
            "Figure 4: accuracy against frequency",
            "Points: classes, mean Acc over seeds against training frequency. ρ: Pearson's coefficient"
            " (Eq. 6), mean over seeds; Table 2 has every run.",
            classes.accuracies,
        ),
        Kind(
            "figure5",
            "Figure 5: pixel and region imbalance",
            "Bars: training frequency of the classes, most frequent first. PIF, RIF: largest over smallest"
            " count of pixels, of pictures with the class.",
            frequencies.rows,
        ),
        Kind(
            "figure7",
            "Figure 7: the parts of region rebalance",
            "Bars: means over seeds of the baseline, I (region classification) and II (I and balanced"
            " softmax). Points: runs. Lines: 95 % intervals, from three seeds on.",
            ablation.rows,
        ),
        Kind(
            "figure8",
            "Figure 8: IoU, Acc and FP/TP",
            "Dashed: IoU = 1 / (1/Acc + FP/TP) for constant FP/TP (Eq. 17). Arrows: classes, from the"
            " reference to the setting, means over seeds.",
            trade.rows,
        ),
        Kind(
            "figure9",
            "Figures 9 to 12: pictures",
            "Picture, truth, reference and settings, on the pictures where they disagree most. Boxes: of each"
            " the three windows, a quarter of its sides, with the most pixels on which exactly one of"
            " reference and setting is right, of the setting that disagrees most. Nothing is chosen by hand.",
            pictures.rows,
        ),
        Kind(
            "remark1",
            "Remark 1 class by class",
            "Points: classes of one pair of runs of the same seed. A class's IoU rises if and only if"
            " FP' − (1+g)·FP < g·n: below the diagonal. g: gain of its Acc; n: its labelled pixels.",
            remark.rows,
        ),
        Kind(
            "confusion",
            "Pairs of classes that changed most",
            "Bars: change of the share of the true class's pixels that is taken for the other class, counts"
            " summed over shared seeds; the ten largest of each setting.",
            confusion.rows,
        ),
        Kind(
            "lambda",
            "Table 5: λ",
            "Diamonds: means over seeds. Points: runs. Lines: 95 % intervals, from three seeds on. Beside it"
            " the paper's Table 5: ADE20K, DeepLabV3+ with ResNet-50, single scale, one seed.",
            seeds.lambdas,
        ),
        Kind(
            "curves",
            "Training curves",
            "Lines: runs; loss as logged, and the metric at each evaluation.",
            curves.rows,
        ),
        Kind(
            "cost",
            "Cost and score",
            "Points: runs. Seconds of training and evaluation as measured, on whatever machine each ran.",
            cost.rows,
        ),
    )
}
