"""Figure 7: the parts of region rebalance, put on the baseline one after the other."""

from __future__ import annotations

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Setting, Study
from trainer.results.statistics import interval, mean
from trainer.spec.methods import branch_weight

PARTS = ("baseline", "I: region classification", "II: I + balanced softmax")
_NEEDS = "region rebalance with and without its balanced softmax (`rebalance`: `none`), and the baseline"


def rows(study: Study) -> Rows:
    """A row for each run of the baseline, part I and part II that share model, data set, schedule and λ.

    Where there are several λ, those that have both parts.
    """
    found: list[Row] = []
    for group in _groups(study):
        parts = {part: [one for one in group if _part(one) == part] for part in PARTS}
        if not all(parts.values()):
            continue
        for part, settings in parts.items():
            for setting in settings:
                found += _rows(study, setting, part)
    return found or Missing(_NEEDS)


def _groups(study: Study) -> list[list[Setting]]:
    """Settings of one model, data set and schedule, with parts of one λ; the baseline goes with each."""
    groups: dict[str, list[Setting]] = {}
    for setting in study.settings:
        spec = setting.spec
        key = "|".join(part.model_dump_json() for part in (spec.dataset, spec.schedule))
        groups.setdefault(f"{spec.model.label}|{key}", []).append(setting)
    found = []
    for group in groups.values():
        weights = {_weight(one) for one in group if _part(one) == PARTS[1]}
        for weight in sorted(weights, key=lambda one: one or 0.0):
            found.append([one for one in group if _part(one) == PARTS[0] or _weight(one) == weight])
    return found


def _part(setting: Setting) -> str | None:
    """Which part a setting is; None of other methods, and where more than λ is not as usual."""
    method, weight = setting.spec.method, branch_weight(setting.spec.method)
    if not weight:
        return None if weight is None else PARTS[0]
    usual = type(method)()
    rebalance = getattr(method, "rebalance", None)
    alike = {"region_weight": branch_weight(usual), "rebalance": getattr(usual, "rebalance", None)}
    if method.model_copy(update=alike) != usual:
        return None
    return PARTS[1] if rebalance == "none" else PARTS[2]


def _weight(setting: Setting) -> float | None:
    return branch_weight(setting.spec.method)


def _rows(study: Study, setting: Setting, part: str) -> list[Row]:
    values = setting.values(study.metric)
    ends = interval(values)
    return [
        {
            "panel": f"{setting.spec.dataset.name}, {setting.spec.model.label}",
            "part": part,
            "setting": setting.label,
            "seed": run.seed,
            "value": run.scores.headline[study.metric],
            "seeds": len(values),
            "mean": mean(values),
            "low": ends.low if ends else None,
            "high": ends.high if ends else None,
        }
        for run in setting.runs
    ]
