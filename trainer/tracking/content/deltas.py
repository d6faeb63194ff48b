"""What a trial gains over the one it is compared with: the trial of its sweep's reference with its own seed.

The mean of a row's differences is the Δ of the sweep's table, where every seed of the row has its partner.
"""

from __future__ import annotations

from trainer.base.errors import ReportError
from trainer.results.comparability import difference, ground_of, why_apart
from trainer.results.report import AttemptResult, Scores, read_report
from trainer.results.scores import HEADLINE
from trainer.storage.layout import Storage
from trainer.storage.reference import read_reference
from trainer.tracking.content.tables import prefix_of

DELTA = "delta_"  # before a score's name; MLflow takes no Greek letters


def deltas_of(storage: Storage, experiment: str, result: AttemptResult) -> dict[str, float]:
    """Differences in points by the metric's name, as `delta_tail_mIoU` or `multi_scale/delta_mIoU`.

    None where there is no reference, it has no result yet, or other labels were scored.
    """
    reference = _result_of(storage, read_reference(storage.reference(experiment)))
    if reference is None:
        return {}
    found: dict[str, float] = {}
    for mode, scores in result.evaluation.items():
        if (other := reference.evaluation.get(mode)) is not None:
            found |= {
                f"{prefix_of(mode)}{DELTA}{name}": value for name, value in _between(scores, other).items()
            }
    return found


def _between(scores: Scores, reference: Scores) -> dict[str, float]:
    ground, other = ground_of(scores), ground_of(reference)
    found: dict[str, float] = {}
    for name in HEADLINE:
        value = difference(scores.headline[name], reference.headline[name])
        if value is not None and why_apart(ground, other, name) is None:
            found[name] = value
    return found


def _result_of(storage: Storage, experiment: str | None) -> AttemptResult | None:
    """Of the experiment's newest attempt, None where it has none that can be read."""
    if experiment is None:
        return None
    try:
        report = read_report(storage.attempt(experiment, storage.newest_attempt(experiment)).report)
    except ReportError:
        return None
    return report.result if report is not None else None
