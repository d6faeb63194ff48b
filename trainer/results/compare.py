"""Attempt reports side by side: scores, differences to the first, and what makes the comparison unfair.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from trainer.base.ends import End
from trainer.base.errors import ComparisonError
from trainer.base.strict_model import StrictModel
from trainer.results.comparability import classes_apart, difference, ground_of, key_of, why_apart
from trainer.results.comparison_notes import comparison_notes
from trainer.results.metrics import Group
from trainer.results.remark import Remark, RemarkSummary, remark, summary
from trainer.results.report import AttemptReport, ClassScore, Scores
from trainer.results.scores import OverallScores
from trainer.spec import methods
from trainer.spec.evaluation import SINGLE_SCALE


class _Setting(StrictModel):
    """What was run."""

    experiment: str
    name: str
    method: str = Field(description="Kind, and every parameter that is not the default.")
    seed: int
    dataset: str
    model: str


class ComparisonRow(OverallScores, _Setting):
    """One experiment. Scores in percent, `delta_mIoU` in points against the first row.

    There is no difference, and no remark, where other labels were scored: the notes say which.
    """

    delta_mIoU: float | None
    pearson_pixel: float | None = Field(
        default=None, description="Correlation of class Acc with training pixels, percent."
    )
    pearson_region: float | None = Field(
        default=None, description="Correlation of class Acc with training pictures, percent."
    )
    remark: RemarkSummary | None = Field(
        default=None, description="Remark 1 against the first row, which has none itself."
    )
    seconds: float = Field(description="Training and evaluation, without start-up.")


class ClassRow(StrictModel):
    """One class over all experiments, in their order; percent and points, None where undefined.

    Experiments that were scored on other labels than the first have no difference.
    """

    id: int
    name: str
    group: Group = Field(description="By the first experiment's training pixel frequency.")
    pixel_frequency: int
    region_frequency: int
    iou: tuple[float | None, ...] = Field(strict=False)
    delta_iou: tuple[float | None, ...] = Field(strict=False)
    remark: tuple[Remark | None, ...] = Field(
        strict=False,
        description="Against the first experiment; null for itself, on other labels, and where n_y is 0.",
    )


class Comparison(StrictModel):
    """Several experiments on the same classes; the first is the reference."""

    mode: str = Field(default=SINGLE_SCALE, description="In which all of them were scored.")
    rows: tuple[ComparisonRow, ...] = Field(strict=False)
    classes: tuple[ClassRow, ...] = Field(strict=False)
    notes: tuple[str, ...] = Field(default=(), strict=False, description="What a reader must know.")


def compare(reports: Sequence[AttemptReport], mode: str | None = None) -> Comparison:
    """The table of `reports`, in their order, differences taken to the first.

    Args:
        mode: in which they were scored; None for the first mode of the first report.

    Raises:
        ComparisonError: there are none, one has no result or not in this mode, or their classes differ in
            name or order.
    """
    if not reports:
        raise ComparisonError("no experiment to compare")
    mode = _first_mode(reports[0]) if mode is None else mode
    scores = [_scores(report, mode) for report in reports]
    grounds = [ground_of(score) for score in scores]
    for report, ground in zip(reports, grounds, strict=True):
        if (apart := classes_apart(ground, grounds[0])) is not None:
            raise ComparisonError(
                f"{report.experiment} has other classes than {reports[0].experiment}: {apart}"
            )
    apart_from_first = [why_apart(ground, grounds[0]) for ground in grounds]
    alike = [why is None for why in apart_from_first]
    by_key = [{key_of(one): one for one in score.classes} for score in scores]
    classes = tuple(_class_row([found[key] for found in by_key], alike) for key in by_key[0])
    return Comparison(
        mode=mode,
        rows=tuple(
            _row(report, score, scores[0] if alike[position] else None, _remarks(classes, position))
            for position, (report, score) in enumerate(zip(reports, scores, strict=True))
        ),
        classes=classes,
        notes=comparison_notes(reports, scores, apart_from_first, mode=mode),
    )


def _remarks(classes: Sequence[ClassRow], position: int) -> RemarkSummary | None:
    return summary([one.remark[position] for one in classes])


def _first_mode(report: AttemptReport) -> str:
    return next(iter(_evaluation(report)), SINGLE_SCALE)


def _scores(report: AttemptReport, mode: str) -> Scores:
    found = _evaluation(report)
    if mode not in found:
        has = f"it has {', '.join(found)}" if found else "it has no scores"
        raise ComparisonError(f"{report.experiment} was not scored in mode {mode}; {has}")
    return found[mode]


def _evaluation(report: AttemptReport) -> dict[str, Scores]:
    """Its scores by mode."""
    if report.result is None:
        why = f": {report.error.type}: {report.error.message}" if report.error else ""
        raise ComparisonError(f"{report.experiment} has no result, it {_ended(report)}{why}")
    return report.result.evaluation


def _ended(report: AttemptReport) -> str:
    return "was cancelled" if report.state is End.CANCELLED else f"ended {report.state}"


def _row(
    report: AttemptReport, scores: Scores, reference: Scores | None, remarks: RemarkSummary | None
) -> ComparisonRow:
    """`reference` is None where nothing may be subtracted."""
    assert report.result is not None
    spec = report.spec
    return ComparisonRow(
        experiment=report.experiment,
        name=spec.name,
        method=methods.label(spec.method),
        seed=spec.seed,
        dataset=spec.dataset.name,
        model=spec.model.label,
        **scores.overall,
        delta_mIoU=difference(scores.mIoU, reference.mIoU) if reference else None,
        pearson_pixel=scores.pearson_pixel,
        pearson_region=scores.pearson_region,
        remark=remarks,
        seconds=report.result.train_seconds + report.result.eval_seconds,
    )


def _class_row(found: Sequence[ClassScore], alike: Sequence[bool]) -> ClassRow:
    """One class in every experiment; `alike`: which of them were scored on the first one's labels."""
    first = found[0]
    ious = tuple(one.iou for one in found)
    pairs = list(zip(found, alike, strict=True))
    return ClassRow(
        id=first.id,
        name=first.name,
        group=first.group,
        pixel_frequency=first.pixel_frequency,
        region_frequency=first.region_frequency,
        iou=ious,
        delta_iou=tuple(difference(one.iou, first.iou) if like else None for one, like in pairs),
        remark=(None, *(remark(first, one) if like else None for one, like in pairs[1:])),
    )
