"""The pictures that every run shows, drawn: the truth over them, and beside it what the run's model says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.base.errors import ReportError
from trainer.drawing.labels import Pixels, overlay, png
from trainer.drawing.palette import palette_of
from trainer.drawing.panels import Panel, side_by_side
from trainer.mmseg_adapter import quiet_imports
from trainer.results.shown_file import MOST_SHOWN, ShownPicture, read_shown
from trainer.storage.directories import AttemptDir

log = logging.getLogger(__name__)
KEYS = tuple(f"overlays/{number}" for number in range(1, MOST_SHOWN + 1))
_SMALL = 640  # pixels of the small form's longer side, at most
_QUALITY = 80


@dataclass(frozen=True)
class Drawn:
    """A picture under a key that is equal in all runs; `small` is for lists of many."""

    key: str  # letters, digits, `_-./ ` alone
    png: bytes
    small: bytes  # WebP


def overlays_of(attempt: AttemptDir) -> Iterator[Drawn]:
    """Those of an attempt that was scored. One that has gone or changed since is left out, and logged.

    Raises:
        OSError: the run directory cannot be read.
    """
    if not (attempt.shown.exists() and attempt.plan.exists()):
        return
    data: dict[str, Any] = json.loads(attempt.plan.read_text())["data"]
    try:
        shown = read_shown(attempt.shown)
    except ReportError as error:
        log.warning("no pictures are shown: %s", error)
        return
    palette = palette_of(data.get("palette"), len(data["classes"]))
    for each, key in zip(shown, KEYS, strict=False):
        picture = _read(Path(data["root"], "images", data["eval_split"], each.name), each)
        if picture is not None:
            drawn = side_by_side(
                [
                    Panel(f"truth of {each.name}", overlay(picture, each.truth, palette)),
                    Panel("labels", overlay(picture, each.labels, palette)),
                ]
            )
            yield Drawn(key, png(drawn), _small(drawn))


def _read(path: Path, shown: ShownPicture) -> Pixels | None:
    """(H, W, 3) uint8, red first, as it was scored; None where it is not that picture any more."""
    with quiet_imports():
        from trainer.mmseg_adapter.decode import decoded

    found = decoded(path)
    if isinstance(found, str):
        log.warning("%s is not shown: it %s", shown.name, found)
        return None
    if found.picture.shape[:2] != shown.labels.shape:
        log.warning("%s is not shown: it is of another size than when it was scored", shown.name)
        return None
    return np.ascontiguousarray(found.picture[..., ::-1])


def _small(drawn: Pixels) -> bytes:
    picture, stream = Image.fromarray(drawn), io.BytesIO()
    picture.thumbnail((_SMALL, _SMALL))
    picture.save(stream, "WEBP", quality=_QUALITY)
    return stream.getvalue()
