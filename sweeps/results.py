"""A sweep's table from its trials: the same for its job, for the service, and for what MLflow keeps."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.presets import PRESETS
from sweeps.progress import is_stopped_early
from sweeps.spec import SweepSpec
from sweeps.table import Entry, Table, make_table
from trainer.report import RunReport

PRESET_TAG = "preset"  # names the preset that a sweep was made from: the paper's numbers stand beside ours
_PAPER_ITERATIONS = 160_000


def entry_of(row: str, seed: int, report: RunReport | None) -> Entry:
    """One trial; `report` is that of its newest attempt, None until it has ended."""
    return Entry(row, seed, report, stopped=report is not None and is_stopped_early(report))


def sweep_table(sweep: SweepSpec, entries: Sequence[Entry]) -> Table:
    """The table of `entries`, with the paper's numbers where the sweep is tagged as one of the presets."""
    preset = PRESETS.get(sweep.tags.get(PRESET_TAG, ""))
    return make_table(
        sweep.name,
        entries,
        metric=sweep.metric,
        published=preset.published if preset and sweep.metric == "mIoU" else None,
        notes=(preset.note, _setting(sweep)) if preset else (),
    )


def _setting(sweep: SweepSpec) -> str:
    """What stands behind our numbers; no catalogue entry is the paper's own setting yet."""
    base = sweep.base
    here = f"{base.dataset.name}, model {base.model.name}, {base.schedule.iterations} iterations"
    other = "data set, model and schedule" if base.schedule.iterations != _PAPER_ITERATIONS else "data set"
    return f"ours: {here}: another {other} than the paper's, so only signs and orders can be compared"
