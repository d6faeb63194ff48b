"""Every run as a point, with mean and interval of its setting."""

from __future__ import annotations

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Study
from trainer.results.statistics import interval, mean
from trainer.spec.methods import branch_weight


def rows(study: Study) -> Rows:
    """A row for each run that has the metric; interval of 95 %, None of one seed."""
    found: list[Row] = []
    for setting in study.settings:
        values = setting.values(study.metric)
        ends = interval(values)
        for run in setting.runs:
            value = run.scores.headline[study.metric]
            if value is not None:
                found.append(
                    {
                        "setting": setting.label,
                        "experiment": run.experiment,
                        "seed": run.seed,
                        "value": value,
                        "seeds": len(values),
                        "mean": mean(values),
                        "low": ends.low if ends else None,
                        "high": ends.high if ends else None,
                        "delta": setting.delta,
                        "p_value": setting.p_value,
                        "published": setting.published,
                    }
                )
    return found or Missing(f"a run whose {study.metric} is defined")


def lambdas(study: Study) -> Rows:
    """The same rows with `lambda`, of region rebalance that differs in λ alone; the baseline is λ = 0."""
    weights = {setting.label: _weight(study, setting.label) for setting in study.settings}
    known = {label: weight for label, weight in weights.items() if weight is not None}
    if len(set(known.values())) < 3:
        return Missing("region rebalance with at least three values of λ, otherwise alike (Table 5)")
    found = rows(study)
    if isinstance(found, Missing):
        return found
    return [{"lambda": known[str(row["setting"])], **row} for row in found if row["setting"] in known]


def _weight(study: Study, label: str) -> float | None:
    """λ of a setting that is like the first one with a λ in all else; None of others."""
    first = next((one for one in study.settings if branch_weight(one.spec.method)), None)
    setting = study.setting(label)
    if first is None or setting is None:
        return None
    ours, theirs = setting.spec, first.spec
    weight = branch_weight(ours.method)
    if (ours.model, ours.dataset, ours.schedule) != (theirs.model, theirs.dataset, theirs.schedule):
        return None
    alike = {"region_weight": branch_weight(theirs.method)}
    return weight if not weight or ours.method.model_copy(update=alike) == theirs.method else None
