"""Every class of every setting: scores, differences and frequencies. Figures 3, 4 and 6 are drawn from it."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Setting, Study, by_frequency, class_deltas
from trainer.results.comparability import key_of


def rows(study: Study) -> Rows:
    """For Figures 3 and 6; they need a setting that can be compared."""
    compared = {setting.label for setting, _ in study.compared()}
    if not compared:
        return Missing("a second setting, scored on the same labels as its reference")
    wanted = {setting.reference for setting in study.settings if setting.label in compared} | compared
    return [row for setting in study.settings if setting.label in wanted for row in _of(study, setting)]


def accuracies(study: Study) -> Rows:
    """For Figure 4: of every setting, with the correlations of its runs (mean over seeds, percent)."""
    found = []
    for setting in study.settings:
        for row in _of(study, setting):
            names = ("class", "id", "group", "pixel_frequency", "region_frequency", "acc")
            found.append({"setting": setting.label, **{name: row[name] for name in names}})
    return found


def _of(study: Study, setting: Setting) -> Iterator[Row]:
    """Means over the setting's seeds, classes with most training pixels first."""
    base = next((base for one, base in study.compared() if one is setting), None)
    scores = {field: setting.class_means(field) for field in ("iou", "acc")}
    deltas = {field: class_deltas(setting, base, field) if base else {} for field in scores}
    for rank, one in enumerate(by_frequency(setting.runs[0].scores.classes), start=1):
        key = key_of(one)
        yield {
            "setting": setting.label,
            "reference": setting.reference,
            "class": one.name,
            "id": one.id,
            "group": one.group,
            "rank": rank,
            "pixel_frequency": one.pixel_frequency,
            "region_frequency": one.region_frequency,
            "seeds": len(setting.runs),
            **{field: means[key] for field, means in scores.items()},
            **{f"delta_{field}": found.get(key) for field, found in deltas.items()},
        }
