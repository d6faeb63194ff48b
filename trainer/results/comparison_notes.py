"""What a reader of a comparison must know: what differs besides method and seed, and what was noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from trainer.results.notice_notes import notice_notes
from trainer.results.report import AttemptReport, Scores
from trainer.spec import methods
from trainer.spec.augmentation import NATIVE
from trainer.spec.evaluation import MODES, named


def comparison_notes(
    reports: Sequence[AttemptReport], scores: Sequence[Scores], apart: Sequence[str | None], *, mode: str
) -> tuple[str, ...]:
    """What differs besides method and seed, how many seeds stand behind each method, and what was noticed.

    Args:
        scores: of each report, in the mode that is compared.
        apart: for each report why nothing of it may be subtracted, None where it may.
    """
    aspects: dict[str, Callable[[AttemptReport], object]] = {
        "data set or its parameters": lambda report: report.spec.dataset,
        "model": lambda report: report.spec.model,
        "schedule": lambda report: report.spec.schedule,
        "number of workers": lambda report: report.spec.resources.workers,
        "way of scoring": lambda report: _way(report, mode),
        "cut between head, body and tail": lambda report: report.spec.evaluation.group_boundaries,
        "library versions": lambda report: report.result and report.result.versions,
    }
    notes = []
    for what, of in aspects.items():
        others = [report.experiment for report in reports if of(report) != of(reports[0])]
        if others:
            notes.append(f"another {what} than the first: {', '.join(others)}")
    others = [f"{report.experiment} ({why})" for report, why in zip(reports, apart, strict=True) if why]
    if others:
        notes.append(f"scored on other labels than the first, so without Δ and Remark 1: {', '.join(others)}")
    if any(_frequencies(one) != _frequencies(scores[0]) for one in scores):
        notes.append("training frequencies differ; head, body and tail are each experiment's own")
    resumed = [report.experiment for report in reports if report.attempt > 1]
    if resumed:
        notes.append(f"resumed from a checkpoint, seconds of the last attempt alone: {', '.join(resumed)}")
    continued = [
        f"{report.experiment} ({report.spec.continues})" for report in reports if report.spec.continues
    ]
    if continued:
        notes.append(f"goes on from another, seconds of its own steps alone: {', '.join(continued)}")
    twice = [experiment for experiment, n in Counter(one.experiment for one in reports).items() if n > 1]
    if twice:
        notes.append(f"listed more than once: {', '.join(twice)}")
    noticed = notice_notes((report.experiment, report.notices) for report in reports)
    return (*notes, _seeds_note(reports), *noticed)


def _way(report: AttemptReport, mode: str) -> tuple[object, ...]:
    """How pictures were scored in a mode, besides the model and the data set; a name alone does not tell."""
    spec = report.spec
    known = named(spec.evaluation.modes).get(mode) or MODES.get(mode)
    if known is None:
        return ()
    base = NATIVE if known.base == NATIVE else spec.augmentation.test_size
    return known.scales, known.flip, base, known.inference or spec.evaluation.inference


def _frequencies(scores: Scores) -> tuple[object, ...]:
    return tuple((one.pixel_frequency, one.region_frequency) for one in scores.classes)


def _seeds_note(reports: Sequence[AttemptReport]) -> str:
    seeds: dict[str, set[int]] = {}
    for report in reports:
        seeds.setdefault(methods.label(report.spec.method), set()).add(report.spec.seed)
    counts = {label: len(values) for label, values in seeds.items()}
    if max(counts.values()) == 1:
        return "one seed for each method: differences of a few points can be chance"
    return "seeds: " + ", ".join(f"{label} {count}" for label, count in counts.items())
