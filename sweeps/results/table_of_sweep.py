"""A sweep's table from its trials: the same for its job, for the service, and for what MLflow keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from pydantic import JsonValue

from sweeps.document.expand import Settings, rows_of
from sweeps.document.presets import PAPERS_COLUMNS, PRESETS, Preset
from sweeps.document.spec import SweepSpec
from sweeps.results.table import Entry, Table, make_table
from trainer.base.ends import End
from trainer.results.report import AttemptReport
from trainer.spec.evaluation import SINGLE_SCALE, named
from trainer.spec.recipes import RECIPE, overrides_of, recipes
from trainer.spec.spec import ExperimentSpec

_CORRELATION = "correlation of class accuracy"
PRESET_TAG = "preset"  # names the preset that a sweep was made from: the paper's numbers stand beside ours
# Words of a schedule that make it another one than the paper's.
_TOLD_OF_SCHEDULES = ("iterations", "batch_size", "crop_size", "optimizer", "learning_rate")


def entry_of(row: str, seed: int, report: AttemptReport | None) -> Entry:
    """One trial; `report` is that of its newest attempt, None until it has ended."""
    return Entry(row, seed, report, stopped=report is not None and report.end is End.STOPPED)


def sweep_table(sweep: SweepSpec, entries: Sequence[Entry], *, limit: str | None = None) -> Table:
    """The table of `entries`, with the paper's numbers where the sweep is tagged as one of the presets.

    Args:
        limit: `SweepReport.limit`, said in the notes.
    """
    preset, rows = PRESETS.get(sweep.tags.get(PRESET_TAG, "")), rows_of(sweep)
    recipe_of = _recipes(rows)
    order = list(dict.fromkeys(recipe_of.values()))
    entries = sorted(
        entries, key=lambda each: order.index(recipe_of[each.row]) if each.row in recipe_of else 0
    )
    return make_table(
        sweep.name,
        entries,
        metric=sweep.metric,
        references=references_of(sweep),
        published=_published(sweep, preset, rows) if preset and sweep.metric == "mIoU" else None,
        notes=(*(_preset_notes(sweep, preset, entries) if preset else ()), *((limit,) if limit else ())),
    )


def references_of(sweep: SweepSpec) -> dict[str, str] | None:
    """Each row's reference, the first of its recipe; None of one recipe, whose first row is that of all."""
    recipe_of = _recipes(rows_of(sweep))
    if len(set(recipe_of.values())) < 2:
        return None
    first: dict[JsonValue, str] = {}
    return {row: first.setdefault(recipe, row) for row, recipe in recipe_of.items()}


def _recipes(rows: Mapping[str, tuple[str | None, Settings]]) -> dict[str, JsonValue]:
    """The recipe of each row, None where the base has it."""
    return {row: settings.get(RECIPE) for row, (_, settings) in rows.items()}


def _published(
    sweep: SweepSpec, preset: Preset, rows: Mapping[str, tuple[str | None, Settings]]
) -> dict[str, dict[str, float]]:
    """The paper's numbers by mode and row; a row that is not of the sweep's document is found by its name."""
    found: dict[str, dict[str, float]] = {SINGLE_SCALE: dict(preset.published)}
    for (row, (variant, settings)), mode in product(rows.items(), PAPERS_COLUMNS):
        recipe = settings.get(RECIPE, sweep.base.recipe)
        number = preset.published_for(variant, recipe if isinstance(recipe, str) else None, mode)
        numbers = found.setdefault(mode, {})
        if number is not None:
            numbers[row] = number
        else:
            numbers.pop(row, None)
    return found


def _preset_notes(sweep: SweepSpec, preset: Preset, entries: Sequence[Entry]) -> Iterator[str]:
    yield preset.note(named(sweep.base.evaluation.modes))
    base = sweep.base
    if base.recipe is None:
        yield setting_note(preset, base)
    else:
        yield recipe_note(base.model_dump(mode="json"))
    if preset.correlations is not None:
        pixel, region = map(_percent, preset.correlations)
        told = f"with pixel frequency {pixel}, with region frequency {region}"
        yield f"paper: {_CORRELATION} {told}"
        yield from _correlations(entries)


def _correlations(entries: Sequence[Entry]) -> Iterator[str]:
    """Ours, of each trial that has a result."""
    results = {entry.seed: entry.report.result for entry in entries if entry.report is not None}
    for seed, result in results.items():
        scores = None if result is None else result.scores
        if scores is not None:
            pixel, region = map(_percent, (scores.pearson_pixel, scores.pearson_region))
            told = f"with pixel frequency {pixel}, with region frequency {region}"
            yield f"ours, seed {seed}: {_CORRELATION} {told}"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1f} %"


def recipe_note(document: Mapping[str, Any]) -> str:
    """Whether our numbers are of the paper's training, or in what they are not."""
    changed, variant = overrides_of(document), document.get("variant") or "paper"
    of = "" if variant == "paper" else f" in the variant {variant}"
    if not changed:
        return f"ours: trained as the recipes say{of}"
    told = "; ".join(map(str, changed))
    return f"ours: not as the recipes say{of} ({told}), so only signs and orders can be compared"


def setting_note(preset: Preset, spec: ExperimentSpec) -> str:
    """What stands behind our numbers, and in what it differs from what stands behind the paper's.

    Args:
        spec: of a training that names no recipe.
    """
    ours, papers = spec.model_dump(mode="json"), [recipes()[name].fields for name in preset.recipes]
    alike = [fields for fields in papers if fields["dataset"]["name"] == spec.dataset.name]
    found = alike or papers
    is_model = any(fields["model"] == ours["model"] for fields in found)
    same = {
        "data set": bool(alike),
        "model": is_model,
        "start": not is_model or any(fields["weights"] == spec.weights for fields in found),
        "schedule": any(
            all(fields["schedule"][word] == ours["schedule"][word] for word in _TOLD_OF_SCHEDULES)
            for fields in found
        ),
    }
    here = f"ours: {spec.dataset.name}, model {spec.model.label}, {spec.schedule.iterations} iterations"
    *most, last = [what for what, is_same in same.items() if not is_same] or [""]
    if not last:
        return f"{here}: the paper's data set, model and schedule"
    others = f"another {', '.join(most)} and {last}" if most else f"another {last}"
    where = " on the same data set" if same["data set"] else ""
    return f"{here}: {others} than the paper's{where}, so only signs and orders can be compared"
