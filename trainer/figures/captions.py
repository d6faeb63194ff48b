"""What stands under a figure: what is drawn, how many runs are behind it, on what, and how trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trainer.figures.catalogue import Kind
from trainer.figures.rows.row import Row
from trainer.figures.study import Setting, Study

_FEW_SEEDS = 5  # below it an interval is said to rest on few


def caption(kind: Kind, study: Study, rows: Sequence[Row]) -> str:
    """Sentences of plain text; only of the settings that the figure shows."""
    shown = _settings_in(study, rows)
    return " ".join([kind.drawn, f"{_runs(shown)}; {_measured(study, shown)}.", *_caution(shown)])


def about(study: Study) -> str:
    """The same of the whole report, for its head."""
    return f"{_runs(study.settings)}; {_measured(study, study.settings)}."


def _settings_in(study: Study, rows: Sequence[Row]) -> Sequence[Setting]:
    labels = {row[column] for row in rows for column in ("setting", "reference", "baseline") if column in row}
    return [setting for setting in study.settings if setting.label in labels] or study.settings


def _runs(settings: Sequence[Setting]) -> str:
    """For example `12 runs: 6 settings, seeds 0, 1 each`."""
    number = sum(len(setting.runs) for setting in settings)
    seeds = {tuple(run.seed for run in setting.runs) for setting in settings}
    what = "setting" if len(settings) == 1 else "settings"
    counts = sorted({len(each) for each in seeds})
    if len(seeds) == 1:
        (each,) = seeds
        told = f"seed{'s' if len(each) > 1 else ''} {', '.join(map(str, each))}"
    else:
        told = (
            f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed(s), not the same"
        )
    return f"n = {number} run{'s' if number > 1 else ''}: {len(settings)} {what}, {told}"


def _measured(study: Study, settings: Sequence[Setting]) -> str:
    datasets = _each(
        f"{setting.spec.dataset.name}, {setting.runs[0].scores.images:,} pictures scored"
        for setting in settings
    )
    models = _each(setting.spec.model.label for setting in settings)
    schedules = _each(_schedule(setting) for setting in settings)
    return f"{datasets} ({study.mode}); {models}, {schedules}"


def _schedule(setting: Setting) -> str:
    schedule = setting.spec.schedule
    height, width = schedule.crop_size
    return f"{schedule.iterations:,} iterations of batch {schedule.batch_size}, crops of {height}×{width}"


def _each(words: Iterable[str]) -> str:
    """The one that all have, or how many there are, with the first."""
    found = list(dict.fromkeys(words))
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} other(s)"


def _caution(settings: Sequence[Setting]) -> list[str]:
    least = min(len(setting.runs) for setting in settings)
    if least == 1:
        return ["One seed: differences of a few points can be chance."]
    return [f"Only {least} seeds: a hint, no more."] if least < _FEW_SEEDS else []
