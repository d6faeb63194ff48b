"""Pictures side by side: the picture, the truth, the reference, the settings; boxes where they disagree.

Letters: H W size of a picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from trainer.drawing.disagreement import one_right, windows
from trainer.drawing.labels import Box, Pixels, overlay
from trainer.drawing.legend import swatches
from trainer.drawing.panels import Panel, boxed, side_by_side, stacked
from trainer.figures.rows.pictures import BOXES, SIDE, Kept
from trainer.spec.data.class_list import Colour
from trainer.storage.port import StoredFile

_LONGEST = 420  # pixels of a panel
_QUALITY = 82


def drawn(pictures: Sequence[Kept], classes: Sequence[str]) -> Pixels:
    """(H, W, 3) uint8: all of them, one below the other, and what the colours mean.

    Raises:
        OSError, ValueError: a file is gone, or is no picture.
    """
    there: dict[int, Colour] = {}
    whole = stacked([_row(kept, there) for kept in pictures])
    named = [(f"{k} {classes[k]}", there[k]) for k in sorted(there) if k < len(classes)]
    return stacked([whole, swatches(named, whole.shape[1])])


def jpeg(picture: Pixels) -> bytes:
    """Compressed: a report holds several."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def boxes_of(ours: Pixels, other: Pixels, truth: Pixels) -> list[Box]:
    """The `BOXES` windows, `SIDE` of the picture's sides, with the most pixels where exactly one is right.

    Windows do not overlap; of equals the upper one, then the left.
    """
    return windows(one_right(ours, other, truth), BOXES, share=SIDE)


def _row(kept: Kept, there: dict[int, Colour]) -> Pixels:
    """One picture's panels; `there` gets the colours of the classes in them."""
    picture = _opened(kept.picture).convert("RGB")
    factor = min(1.0, _LONGEST / max(picture.size))
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    shown = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    files = [("truth", kept.truth), (kept.reference, kept.other)]
    files += [(one.label, one.file) for one in kept.settings]
    labelled = {title: _labels(file, size) for title, file in files}
    most, other, truth = (labelled[title][0] for title in (kept.most.label, kept.reference, "truth"))
    boxes = boxes_of(most, other, truth)
    panels = [Panel(kept.name, boxed(shown, boxes))]
    for title, (labels, colours) in labelled.items():
        panels.append(Panel(title, boxed(overlay(shown, labels, colours), boxes)))
        there.update({k: colours[k] for k in np.unique(labels).tolist() if k < len(colours)})
    return side_by_side(panels)


def _labels(file: StoredFile, size: tuple[int, int]) -> tuple[Pixels, list[Colour]]:
    """(H, W) ids, and the colours that the file shows them in."""
    picture = _opened(file)
    if picture.mode != "P":
        raise ValueError(f"{file.name} is no map of labels")
    flat = picture.getpalette() or []
    colours = [(flat[k], flat[k + 1], flat[k + 2]) for k in range(0, len(flat) - 2, 3)]
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)), colours


def _opened(file: StoredFile) -> Image.Image:
    picture = Image.open(io.BytesIO(file.read_bytes()), formats=("PNG", "JPEG"))
    picture.load()
    return picture
