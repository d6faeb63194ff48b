"""RunReports side by side: scores, differences to the first, and what makes the comparison unfair.

Letters: K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import Field

from trainer.base.errors import ComparisonError
from trainer.base.strict_model import StrictModel
from trainer.results.metrics import Group
from trainer.results.notice_notes import notice_notes
from trainer.results.remark import Remark, RemarkSummary, remark, summary
from trainer.results.report import RunReport, Scores
from trainer.spec import methods

MODE = "single_scale"


class ComparisonRow(StrictModel):
    """One experiment. Scores in percent, `delta_mIoU` in points against the first row."""

    experiment: str
    name: str
    method: str = Field(description="Kind, and every parameter that is not the default.")
    seed: int
    dataset: str
    model: str
    mIoU: float | None
    mAcc: float | None
    aAcc: float | None
    head_mIoU: float | None
    body_mIoU: float | None
    tail_mIoU: float | None
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
    """One class over all experiments, in their order; percent and points, None where undefined."""

    id: int
    name: str
    group: Group = Field(description="By the first experiment's training pixel frequency.")
    pixel_frequency: int
    region_frequency: int
    iou: tuple[float | None, ...] = Field(strict=False)
    delta_iou: tuple[float | None, ...] = Field(strict=False)
    remark: tuple[Remark | None, ...] = Field(
        strict=False,
        description="Against the first experiment; null for itself and where n_y is 0 or differs.",
    )


class Comparison(StrictModel):
    """Several experiments on the same classes; the first is the reference."""

    mode: str = MODE
    rows: tuple[ComparisonRow, ...] = Field(strict=False)
    classes: tuple[ClassRow, ...] = Field(strict=False)
    notes: tuple[str, ...] = Field(default=(), strict=False, description="What a reader must know.")


def compare(reports: Sequence[RunReport]) -> Comparison:
    """The table of `reports`, in their order, differences taken to the first.

    Raises:
        ComparisonError: there are none, one has no result, or their classes differ in name or order.
    """
    if not reports:
        raise ComparisonError("no experiment to compare")
    scores = [_scores(report) for report in reports]
    names = [tuple(one.name for one in score.classes) for score in scores]
    for report, other in zip(reports, names, strict=True):
        if other != names[0]:
            raise ComparisonError(
                f"{report.experiment} has other classes than {reports[0].experiment}:"
                f" {_difference(names[0], other)}"
            )
    classes = tuple(_class_row(k, scores) for k in range(len(names[0])))
    return Comparison(
        rows=tuple(
            _row(report, score, scores[0], summary([one.remark[position] for one in classes]))
            for position, (report, score) in enumerate(zip(reports, scores, strict=True))
        ),
        classes=classes,
        notes=_notes(reports, scores),
    )


def _scores(report: RunReport) -> Scores:
    if report.result is None:
        why = f": {report.error.type}: {report.error.message}" if report.error else ""
        raise ComparisonError(f"{report.experiment} has no result, it {_ended(report)}{why}")
    if MODE not in report.result.evaluation:
        raise ComparisonError(f"{report.experiment} was not scored in mode {MODE}")
    return report.result.evaluation[MODE]


def _ended(report: RunReport) -> str:
    return "was cancelled" if report.state == "cancelled" else f"ended {report.state}"


def _difference(first: tuple[str, ...], other: tuple[str, ...]) -> str:
    if len(first) != len(other):
        return f"{len(other)} instead of {len(first)}"
    k = next(k for k in range(len(first)) if first[k] != other[k])
    return f"class {k} is {other[k]!r}, not {first[k]!r}"


def difference(value: float | None, reference: float | None) -> float | None:
    """`value` - `reference`, None where either is undefined."""
    return None if value is None or reference is None else value - reference


def _row(
    report: RunReport, scores: Scores, reference: Scores, remarks: RemarkSummary | None
) -> ComparisonRow:
    assert report.result is not None
    spec = report.spec
    return ComparisonRow(
        experiment=report.experiment,
        name=spec.name,
        method=methods.label(spec.method),
        seed=spec.seed,
        dataset=spec.dataset.name,
        model=spec.model.name,
        mIoU=scores.mIoU,
        mAcc=scores.mAcc,
        aAcc=scores.aAcc,
        head_mIoU=scores.head_mIoU,
        body_mIoU=scores.body_mIoU,
        tail_mIoU=scores.tail_mIoU,
        delta_mIoU=difference(scores.mIoU, reference.mIoU),
        pearson_pixel=scores.pearson_pixel,
        pearson_region=scores.pearson_region,
        remark=remarks,
        seconds=report.result.train_seconds + report.result.eval_seconds,
    )


def _class_row(k: int, scores: Sequence[Scores]) -> ClassRow:
    first = scores[0].classes[k]
    ious = tuple(one.classes[k].iou for one in scores)
    return ClassRow(
        id=k,
        name=first.name,
        group=first.group,
        pixel_frequency=first.pixel_frequency,
        region_frequency=first.region_frequency,
        iou=ious,
        delta_iou=tuple(difference(iou, first.iou) for iou in ious),
        remark=(None, *(remark(first, one.classes[k]) for one in scores[1:])),
    )


def _notes(reports: Sequence[RunReport], scores: Sequence[Scores]) -> tuple[str, ...]:
    """What differs besides method and seed, how many seeds stand behind each method, and what was noticed."""
    aspects: dict[str, Callable[[RunReport], object]] = {
        "data set or its parameters": lambda report: report.spec.dataset,
        "model": lambda report: report.spec.model,
        "schedule": lambda report: report.spec.schedule,
        "number of workers": lambda report: report.spec.resources.workers,
        "cut between head, body and tail": lambda report: report.spec.evaluation.group_boundaries,
        "library versions": lambda report: report.result and report.result.versions,
    }
    notes = []
    for what, of in aspects.items():
        others = [report.experiment for report in reports if of(report) != of(reports[0])]
        if others:
            notes.append(f"another {what} than the first: {', '.join(others)}")
    if any(_ground(one) != _ground(scores[0]) for one in scores):
        notes.append(
            "not all were scored on the same labels: differences are between data as well,"
            " and Remark 1 is left out for classes of another size"
        )
    if any(_frequencies(one) != _frequencies(scores[0]) for one in scores):
        notes.append("training frequencies differ; head, body and tail are each experiment's own")
    resumed = [report.experiment for report in reports if report.attempt > 1]
    if resumed:
        notes.append(f"resumed from a checkpoint, seconds of the last attempt alone: {', '.join(resumed)}")
    twice = [experiment for experiment, n in Counter(one.experiment for one in reports).items() if n > 1]
    if twice:
        notes.append(f"listed more than once: {', '.join(twice)}")
    noticed = notice_notes((report.experiment, report.notices) for report in reports)
    return (*notes, _seeds_note(reports), *noticed)


def _ground(scores: Scores) -> tuple[object, ...]:
    return scores.images, tuple(one.tp + one.fn for one in scores.classes)


def _frequencies(scores: Scores) -> tuple[object, ...]:
    return tuple((one.pixel_frequency, one.region_frequency) for one in scores.classes)


def _seeds_note(reports: Sequence[RunReport]) -> str:
    seeds: dict[str, set[int]] = {}
    for report in reports:
        seeds.setdefault(methods.label(report.spec.method), set()).add(report.spec.seed)
    counts = {label: len(values) for label, values in seeds.items()}
    if max(counts.values()) == 1:
        return "one seed for each method: differences of a few points can be chance"
    return "seeds: " + ", ".join(f"{label} {count}" for label, count in counts.items())
