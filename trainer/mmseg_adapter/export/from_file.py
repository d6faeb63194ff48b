"""A final.pth alone, taken away: no service, no storage, no data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.base.errors import DataError
from trainer.data.listing import printable_name
from trainer.mmseg_adapter.decode import decoded
from trainer.mmseg_adapter.export.export import export_model
from trainer.mmseg_adapter.export.pictures import Picture
from trainer.mmseg_adapter.model.deployed import load_deployed, spec_in
from trainer.mmseg_adapter.scoring.predictor import way_of
from trainer.results.followup import ExportedFile
from trainer.spec.followups import Format


def export_file(
    file: Path, pictures: Sequence[Path], formats: Sequence[Format], folder: Path
) -> tuple[list[ExportedFile], dict[Format, str]]:
    """`export_model` of a checkpoint, with pictures from files, sized as its experiment's were scored.

    Raises:
        CheckpointError: it is missing, damaged, or does not say how its pictures are scored.
        DataError: a picture cannot be used; with every such picture.
        DiskFull: there is no room; nothing half-written stays.
    """
    read = _read(pictures)
    model, meta = load_deployed(file)
    spec = spec_in(meta, file)
    known = {**meta, "spec": spec.model_dump(mode="json")}
    return export_model(model, known, read, formats, folder, way=way_of(spec))


def _read(files: Sequence[Path]) -> list[Picture]:
    """(H, W, 3) uint8 of each, blue first. Raises DataError."""
    found = {file: decoded(file) for file in files}
    bad = [f"{printable_name(str(file))} {words}" for file, words in found.items() if isinstance(words, str)]
    if bad:
        raise DataError("; ".join(bad))
    return [each.picture for each in found.values() if not isinstance(each, str)]
