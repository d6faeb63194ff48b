"""A sweep's table from its trials: the same for its job, for the service, and for what MLflow keeps."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.document.presets import PRESETS
from sweeps.document.spec import SweepSpec
from sweeps.results.table import Entry, Table, make_table
from trainer.base.ends import End
from trainer.results.report import AttemptReport
from trainer.spec.schedule import Schedule

PRESET_TAG = "preset"  # names the preset that a sweep was made from: the paper's numbers stand beside ours
# The paper's setting (its section 4.2), as the catalogue would name it; it has neither yet.
_PAPER_DATASET, _PAPER_MODEL = "ade20k", "deeplabv3plus_r50"
_PAPER_SCHEDULE = {
    "iterations": 160_000,
    "batch_size": 16,
    "crop_size": (512, 512),
    "optimizer": "sgd",
    "learning_rate": 0.01,
}


def entry_of(row: str, seed: int, report: AttemptReport | None) -> Entry:
    """One trial; `report` is that of its newest attempt, None until it has ended."""
    return Entry(row, seed, report, stopped=report is not None and report.end is End.STOPPED)


def sweep_table(sweep: SweepSpec, entries: Sequence[Entry], *, limit: str | None = None) -> Table:
    """The table of `entries`, with the paper's numbers where the sweep is tagged as one of the presets.

    Args:
        limit: `SweepReport.limit`, said in the notes.
    """
    preset, base = PRESETS.get(sweep.tags.get(PRESET_TAG, "")), sweep.base
    ours = setting_note(base.dataset.name, base.model.name, base.schedule)
    return make_table(
        sweep.name,
        entries,
        metric=sweep.metric,
        published=preset.published if preset and sweep.metric == "mIoU" else None,
        notes=(*((preset.note, ours) if preset else ()), *((limit,) if limit else ())),
    )


def setting_note(dataset: str, model: str, schedule: Schedule) -> str:
    """What stands behind our numbers, and in what it differs from what stands behind the paper's."""
    same = {
        "data set": dataset == _PAPER_DATASET,
        "model": model == _PAPER_MODEL,
        "schedule": all(getattr(schedule, field) == value for field, value in _PAPER_SCHEDULE.items()),
    }
    here = f"ours: {dataset}, model {model}, {schedule.iterations} iterations"
    *most, last = [what for what, is_same in same.items() if not is_same] or [""]
    if not last:
        return f"{here}: the paper's data set, model and schedule"
    others = f"another {', '.join(most)} and {last}" if most else f"another {last}"
    where = " on the same data set" if same["data set"] else ""
    return f"{here}: {others} than the paper's{where}, so only signs and orders can be compared"
