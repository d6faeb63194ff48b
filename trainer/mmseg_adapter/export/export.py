"""A trained model in the formats asked for: each written, run, compared, and only then kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from trainer.base.files import full_disk_told
from trainer.mmseg_adapter.export.card.card import card
from trainer.mmseg_adapter.export.forms import Attempt, attempts
from trainer.mmseg_adapter.export.pictures import MOST_DIFFERING, Picture, RealPictures, share_differing
from trainer.mmseg_adapter.export.refused import Refused
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.results.followup import ExportedFile
from trainer.spec.followups import Format


def export_model(
    model: nn.Module,
    meta: Mapping[str, Any],
    pictures: Sequence[Picture],
    formats: Sequence[Format],
    folder: Path,
    *,
    way: TestWay,
) -> tuple[list[ExportedFile], dict[Format, str]]:
    """What was made, a folder FORMAT below `folder` for each, with its model card; and what was not, and why.

    A folder appears as a whole, once the model in it gave the pictures the labels that the checkpoint gives
    them, but for `MOST_DIFFERING` of their pixels. One that is there already is replaced.

    Args:
        model: as `load_deployed` gives it: on the CPU, in eval mode. It stays as it is.
        meta: the same.
        pictures: (H, W, 3) uint8, blue first: real ones, such as those of an evaluation split.

    Raises:
        ValueError: there is no picture.
        DiskFull: there is no room; nothing half-written stays.
    """
    if not pictures:
        raise ValueError("an export needs at least one real picture to be compared on")
    subject = Subject(model, meta, RealPictures(model, tuple(pictures), way))
    files: list[ExportedFile] = []
    refused: dict[Format, str] = {}
    for name in dict.fromkeys(formats):
        try:
            files.append(_taken(subject, name, folder))
        except Refused as why:
            refused[name] = str(why)
    return files, refused


def _taken(subject: Subject, name: Format, folder: Path) -> ExportedFile:
    """One format, in its place. Raises Refused."""
    if subject.drawing is not None:
        raise Refused(
            f"{subject.drawing} draws random numbers when the model predicts: no two predictions of a "
            "picture are the same, so what is exported cannot be held against the checkpoint"
        )
    with full_disk_told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        why = Refused("there is no way to make it")
        for attempt in attempts(subject, name):
            with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as scratch:
                try:
                    return _kept(subject, name, attempt, Path(scratch))
                except Refused as error:
                    why = error
    raise why


def _kept(subject: Subject, name: Format, attempt: Attempt, scratch: Path) -> ExportedFile:
    """The format beside `scratch`, once it was made there and tried. Raises Refused."""
    made = scratch / name
    made.mkdir()
    pictures, share = _tried(attempt, made)
    text = card(subject, name, attempt.graph, pictures, share)
    (made / "README.md").write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    _put(made, scratch.with_name(name))
    return ExportedFile(format=name, path=name, bytes=size, sha256=None, pictures=pictures, differing=share)


def _tried(attempt: Attempt, made: Path) -> tuple[int, float]:
    """Writes the format into `made`; the number of pictures that it was tried on, and the share that differs.

    Raises:
        Refused: it cannot be written or run, or too many labels are others.
    """
    attempt.write(made)
    attempt.check(made)
    compared = attempt.compared()
    share = share_differing(attempt.labels(made, compared.pictures), compared.labels)
    if share > MOST_DIFFERING:
        number = len(compared.pictures)
        raise Refused(
            f"{share:.2%} of the pixels of {number} picture{'s' * (number != 1)} get another label than from "
            f"the checkpoint; allowed: {MOST_DIFFERING:.2%}"
        )
    return len(compared.pictures), share


def _put(made: Path, place: Path) -> None:
    """Makes `made` the folder `place`, as a whole."""
    if place.exists():
        made.with_name("before").mkdir()
        place.rename(made.with_name("before") / place.name)
    made.rename(place)
