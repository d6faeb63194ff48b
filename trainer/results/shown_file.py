"""pictures.npz: the labels of a few pictures that every run shows, so that runs are seen side by side.

`names` (P,): paths below images/SPLIT. For each of them `N/labels` and `N/truth` (H, W) uint8 ids, 255 void.

Letters: P pictures, H W size of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.base.npz import arrays_in, names_in
from trainer.storage.port import StoredFile

Labels = npt.NDArray[np.uint8]
RULE = "three pictures of the split, evenly spaced in the order of their names: the same for every run"
MOST_SHOWN = 3


class ShownPicture(NamedTuple):
    """A picture's (H, W) labels and truth, uint8."""

    name: str  # its path below images/SPLIT
    labels: Labels
    truth: Labels


def shown_of(names: Sequence[str]) -> list[str]:
    """Those of a split's pictures that are shown: see `RULE`; of fewer than three all."""
    ordered = sorted(names)
    count = min(MOST_SHOWN, len(ordered))
    return [ordered[(2 * number + 1) * len(ordered) // (2 * count)] for number in range(count)]


def write_shown(file: StoredFile, pictures: Sequence[ShownPicture]) -> None:
    """Writes the pictures, as a whole or not at all.

    Raises:
        OSError: the storage does not take it.
    """
    arrays: dict[str, npt.NDArray[Any]] = {"names": np.array([each.name for each in pictures], dtype=np.str_)}
    for number, each in enumerate(pictures):
        arrays |= {f"{number}/labels": each.labels, f"{number}/truth": each.truth}
    with file.writing() as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # taken for a flag of its own


def read_shown(file: StoredFile) -> tuple[ShownPicture, ...]:
    """What `write_shown` has written; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is none.
        ReportError: it is damaged, or holds something else.
    """
    content = BytesIO(file.read_bytes())
    with arrays_in(content, file.name, "holds no pictures' labels") as arrays:
        names = names_in(arrays, "names")
        return tuple(
            ShownPicture(name, *(_labels(arrays, f"{number}/{of}") for of in ("labels", "truth")))
            for number, name in enumerate(names)
        )


def _labels(arrays: Any, key: str) -> Labels:
    array = arrays[key]
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2:
        raise ValueError(f"{key} is no picture's labels")
    return array
