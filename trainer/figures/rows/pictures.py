"""Figures 9 to 12: pictures on which a setting and its reference disagree most, as evaluations kept them.

Which pictures: of all that are kept for runs of the study against another of its runs, first those with the
labels of most settings, of equals the largest share of disagreement, then the first name; `MOST` of them.
Which boxes: see `boxes_of`. Nothing is chosen by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trainer.base.strict_model import StrictModel
from trainer.figures.rows.row import Missing, Rows
from trainer.figures.study import Run, Study
from trainer.storage.port import StoredFile, StoredFolder

MOST, BOXES, SIDE = 6, 3, 0.25
_NEEDS = "pictures kept by `rebalance evaluate ID --against REFERENCE`, of two runs of this report"


class _Entry(StrictModel):
    """What pictures.json says of one picture."""

    name: str
    share: float
    files: Mapping[str, str]
    boxes: tuple[tuple[int, ...], ...]  # of regions, which compare.png shows


@dataclass(frozen=True)
class Labelled:
    """A setting's labels of a picture: a PNG of ids, with colours."""

    label: str
    experiment: str
    share: float
    file: StoredFile


@dataclass(frozen=True)
class Kept:
    """One picture, the truth, the reference's labels, and those of each setting that has some."""

    name: str
    dataset: str
    reference: str
    picture: StoredFile
    truth: StoredFile
    other: StoredFile
    settings: tuple[Labelled, ...]

    @property
    def most(self) -> Labelled:
        """Of the setting that disagrees most."""
        return max(self.settings, key=lambda one: one.share)


def rows(study: Study) -> Rows:
    """A row for each picture and setting: share of disagreement in percent."""
    found: Rows = [
        {
            "picture": kept.name,
            "dataset": kept.dataset,
            "reference": kept.reference,
            "setting": one.label,
            "experiment": one.experiment,
            "share": 100 * one.share,
        }
        for kept in kept_pictures(study)
        for one in kept.settings
    ]
    return found or Missing(_NEEDS)


def kept_pictures(study: Study) -> list[Kept]:
    """Those that are shown, in their order."""
    labels = {run.experiment: setting.label for setting, run in study.runs}
    found: dict[tuple[str, str, str], Kept] = {}
    for setting, run in study.runs:
        for told, entry, folder in _entries(run, study.mode):
            if told["against"] not in labels or labels[told["against"]] == setting.label:
                continue
            key = told["against"], told["dataset"], entry.name
            here = Labelled(
                setting.label,
                run.experiment,
                entry.share,
                folder.file(entry.files["ours"]),
            )
            before = found[key].settings if key in found else ()
            if all(one.label != here.label for one in before):
                files = {part: folder.file(entry.files[part]) for part in ("picture", "truth", "other")}
                found[key] = Kept(
                    entry.name,
                    told["dataset"],
                    labels[told["against"]],
                    settings=(*before, here),
                    **files,
                )
    order = sorted(found.values(), key=lambda kept: (-len(kept.settings), -kept.most.share, kept.name))
    return order[:MOST]


def _entries(run: Run, mode: str) -> Iterator[tuple[dict[str, Any], _Entry, StoredFolder]]:
    """What the run's evaluations kept in this mode; a file that says something else is passed over."""
    for followup in run.followups:
        folder = followup.pictures
        try:
            told = json.loads(folder.file("pictures.json").read_text())
            entries = TypeAdapter(tuple[_Entry, ...]).validate_python(told["pictures"], strict=False)
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            continue
        if told.get("mode") == mode and isinstance(told.get("against"), str):
            parts = ("picture", "truth", "ours", "other")
            yield from (
                ({"dataset": "", **told}, entry, folder)
                for entry in entries
                if all(_plain_name(entry.files.get(part)) for part in parts)
            )


def _plain_name(name: str | None) -> bool:
    """Whether it names a file beside pictures.json."""
    return bool(name) and name not in (".", "..") and "/" not in str(name) and "\0" not in str(name)
