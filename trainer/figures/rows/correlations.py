"""Table 2: how class accuracy goes with class frequency, in every run."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.figures.rows.row import Row
from trainer.figures.study import Study
from trainer.results.grids import Grid, fixed
from trainer.results.statistics import mean
from trainer.spec.catalogue.published import correlation


def rows(study: Study) -> list[Row]:
    """Pearson's coefficient with training pixels and training pictures, in percent; None where undefined."""
    return [
        {
            "setting": setting.label,
            "seed": run.seed,
            "pixel": run.scores.pearson_pixel,
            "region": run.scores.pearson_region,
        }
        for setting, run in study.runs
    ]


def means(study: Study, frequency: str) -> dict[str, float | None]:
    """Of each setting, over the seeds that have one."""
    return {
        setting.label: mean([value for value in _values(setting.runs, frequency) if value is not None])
        for setting in study.settings
    }


def grid(study: Study) -> Grid:
    """A line for each run, and the paper's where it has the data set."""
    lines = [
        [str(row["setting"]), str(row["seed"]), *(fixed(_number(row[name])) for name in ("pixel", "region"))]
        for row in rows(study)
    ]
    dataset = study.settings[0].spec.dataset.name
    papers = [correlation(dataset, frequency) for frequency in ("pixel", "region")]
    if any(value is not None for value in papers):
        lines.append(["the paper's baseline", "", *map(fixed, papers)])
    return Grid(["", "seed", "Acc and pixels, %", "Acc and pictures, %"], lines, words=1)


def _values(runs: Sequence[object], frequency: str) -> list[float | None]:
    return [getattr(run.scores, f"pearson_{frequency}") for run in runs]  # type: ignore[attr-defined]


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
