"""Figure 1: how much each method gains on each model."""

from __future__ import annotations

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Setting, Study, may_subtract
from trainer.results.comparability import difference
from trainer.results.statistics import interval, mean
from trainer.spec.evaluation import MULTI_SCALE, SINGLE_SCALE
from trainer.spec.recipes import recipes

_NEEDS = "a baseline and another method, trained with the same model on the same data"
_PAPERS = {SINGLE_SCALE: "ss", MULTI_SCALE: "ms"}


def rows(study: Study) -> Rows:
    """A row for each setting with a baseline, and seed that both have: differences in points."""
    return [row for setting in study.settings for row in _rows(study, setting)] or Missing(_NEEDS)


def _rows(study: Study, setting: Setting) -> list[Row]:
    base = _baseline(study, setting)
    if base is None:
        return []
    theirs = {run.seed: run.scores.headline[study.metric] for run in base.runs}
    pairs = {run.seed: (run.scores.headline[study.metric], theirs.get(run.seed)) for run in setting.runs}
    gains = {seed: gain for seed, pair in pairs.items() if (gain := difference(*pair)) is not None}
    ends = interval([*gains.values()])
    return [
        {
            "model": setting.spec.model.label,
            "setting": setting.label,
            "baseline": base.label,
            "seed": seed,
            "gain": gain,
            "mean": mean([*gains.values()]),
            "low": ends.low if ends else None,
            "high": ends.high if ends else None,
            "seeds": len(gains),
            "paper": _published_gain(setting, base, study.mode) if study.metric == "mIoU" else None,
        }
        for seed, gain in gains.items()
    ]


def _baseline(study: Study, setting: Setting) -> Setting | None:
    """What it gains on: its own reference, where that has its model; else the first of its model and data."""
    own = study.setting(setting.reference)
    for one in (*([own] if own else []), *study.settings):
        alike = (one.spec.model, one.spec.dataset) == (setting.spec.model, setting.spec.dataset)
        if alike and may_subtract(setting, one):
            return None if one is setting else one
    return None


def _published_gain(setting: Setting, base: Setting, mode: str) -> float | None:
    """The paper's, where it has both with this recipe."""
    recipe = recipes().get(setting.spec.recipe or "")
    if recipe is None or mode not in _PAPERS:
        return None
    ours, theirs = (recipe.paper.get(one.spec.method.kind, {}).get(_PAPERS[mode]) for one in (setting, base))
    return difference(ours, theirs)
