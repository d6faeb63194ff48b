"""Table 2: how class accuracy goes with class frequency, in every run."""

from __future__ import annotations

from typing import Literal

from trainer.figures.study import Setting, Study
from trainer.results.grids import Grid, fixed
from trainer.results.statistics import mean
from trainer.spec.catalogue.published import correlation

Frequency = Literal["pixel", "region"]


def means(study: Study, frequency: Frequency) -> dict[str, float | None]:
    """Pearson's coefficient of each setting in percent, over the seeds that have one."""
    return {setting.label: mean(_known(setting, frequency)) for setting in study.settings}


def grid(study: Study) -> Grid:
    """A line for each run, and the paper's where it has the data set; empty where undefined."""
    lines = [
        [setting.label, str(run.seed), fixed(run.scores.pearson_pixel), fixed(run.scores.pearson_region)]
        for setting, run in study.runs
    ]
    dataset = study.settings[0].spec.dataset.name
    papers = [correlation(dataset, frequency) for frequency in ("pixel", "region")]
    if any(value is not None for value in papers):
        lines.append(["the paper's baseline", "", *map(fixed, papers)])
    return Grid(["", "seed", "Acc and pixels, %", "Acc and pictures, %"], lines, words=1)


def _known(setting: Setting, frequency: Frequency) -> list[float]:
    scores = [run.scores for run in setting.runs]
    found = [one.pearson_pixel if frequency == "pixel" else one.pearson_region for one in scores]
    return [value for value in found if value is not None]
