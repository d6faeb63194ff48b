"""confusion.npz: what the evaluations of an attempt counted, for who wants to know more than the report says.

For each mode `MODE/confusion` (K, K) int64, rows = target; `MODE/pictures` (N,) names, sorted; `MODE/tp`,
`MODE/fp` and `MODE/fn` (N, K) int64, in pixels of each picture. Once, `classes` (K,): their names.

Letters: N pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.base.npz import arrays_in, names_in
from trainer.results.metrics import Counts
from trainer.results.split_counts import SplitCounts
from trainer.storage.port import StoredFile

Array = npt.NDArray[Any]
_OTHERWISE = "no file of counts"
_COUNTS = ("confusion", "tp", "fp", "fn")


class ConfusionFile(NamedTuple):
    """What the file has; `modes` in the order in which they were scored."""

    classes: tuple[str, ...]
    modes: dict[str, SplitCounts]


def write_confusion(file: StoredFile, modes: Mapping[str, SplitCounts], classes: Sequence[str]) -> None:
    """Writes the counts of each mode, as a whole or not at all.

    Raises:
        OSError: the storage does not take it.
    """
    arrays: dict[str, Array] = {"classes": np.array(classes, dtype=np.str_)}
    for mode, counts in modes.items():
        arrays |= {f"{mode}/{name}": getattr(counts, name) for name in _COUNTS}
        arrays[f"{mode}/pictures"] = np.array(counts.names, dtype=np.str_)
    with file.writing() as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # taken for a flag of its own


def read_confusion(file: StoredFile) -> ConfusionFile:
    """What `write_confusion` has written; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is none.
        ReportError: it is damaged, or holds something else.
    """
    content = BytesIO(file.read_bytes())
    with arrays_in(content, file.name, _OTHERWISE) as arrays:
        classes = names_in(arrays, "classes")
        modes = dict.fromkeys(name.partition("/")[0] for name in arrays.files if "/" in name)
        return ConfusionFile(classes, {mode: _counts(arrays, mode, len(classes)) for mode in modes})


def read_matrix(file: StoredFile, mode: str) -> Counts | None:
    """Only the (K, K) confusion counts of one mode, without those of single pictures; None: not in this mode.

    Raises:
        FileNotFoundError: there is none.
        ReportError: it is damaged, or holds something else.
    """
    with file.reading() as content, arrays_in(content, file.name, _OTHERWISE) as arrays:
        name, classes = f"{mode}/confusion", len(names_in(arrays, "classes"))
        return _matrix(arrays, name, (classes, classes)) if name in arrays.files else None


def _counts(arrays: Mapping[str, Array], mode: str, classes: int) -> SplitCounts:
    names = names_in(arrays, f"{mode}/pictures")
    rows = {name: classes if name == "confusion" else len(names) for name in _COUNTS}
    found = {name: _matrix(arrays, f"{mode}/{name}", (rows[name], classes)) for name in _COUNTS}
    return SplitCounts(names=names, **found)


def _matrix(arrays: Mapping[str, Array], name: str, shape: tuple[int, int]) -> Counts:
    array = arrays[name]
    if array.shape != shape or array.dtype != np.int64:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not int64 {shape}")
    return array
