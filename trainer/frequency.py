"""Class frequencies of a training split: counted when first needed, kept by content.

Letters: K classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.data import PreparedData
from trainer.datasets import IGNORE_INDEX
from trainer.errors import DataError
from trainer.files import write_atomically
from trainer.layout import Storage
from trainer.splits import Pair, list_pairs

_FORMAT = 1  # of the kept files
_SHOWN = 5  # offenders named in a message
_CHUNK = 32  # masks a process takes at a time


@dataclass(frozen=True)
class Frequencies:
    """Of the training split, per class in label order: pixels, and pictures that contain the class."""

    pixel: tuple[int, ...]
    region: tuple[int, ...]
    images: int


@dataclass
class Tally:
    """Sums over masks; two tallies of halves add to that of the whole."""

    pixel: npt.NDArray[np.int64]  # (256,), every id a mask can hold
    region: npt.NDArray[np.int64]  # (256,)
    images: int = 0
    broken: list[str] = field(default_factory=list)  # masks that could not be read, with the reason
    strange: list[tuple[str, dict[int, int]]] = field(default_factory=list)  # mask, {illegal id: pixels}

    @classmethod
    def empty(cls) -> Tally:
        """Of no masks."""
        return cls(np.zeros(256, np.int64), np.zeros(256, np.int64))

    def add(self, other: Tally) -> None:
        """Takes in another tally."""
        self.pixel += other.pixel
        self.region += other.region
        self.images += other.images
        self.broken += other.broken
        self.strange += other.strange


def frequencies_of(data: PreparedData, storage: Storage, *, processes: int = 1) -> Frequencies:
    """Pixels and pictures per class of the training split; both splits' masks are read and checked.

    Counted once for the same file names, sizes, times of change, classes and splits.

    Raises:
        DataError: a mask cannot be read, holds an id that is neither a class nor void, or a split has
            no valid pixel; the message gives counts and the first offenders of both splits.
    """
    root = Path(data.root)
    splits = {split: list_pairs(root, split) for split in dict.fromkeys((data.train_split, data.eval_split))}
    kept = storage.frequencies / f"{_content_key(data, splits)}.json"
    known = _read_kept(kept, len(data.classes))
    if known is not None:
        return known
    num_classes = len(data.classes)
    tallies = {
        split: count_masks([pair.mask for pair in pairs], num_classes, processes=processes)
        for split, pairs in splits.items()
    }
    faults = [text for split, tally in tallies.items() for text in _faults(split, tally, num_classes)]
    if faults:
        raise DataError("; ".join(faults))
    train = tallies[data.train_split]
    counted = Frequencies(
        pixel=tuple(train.pixel[:num_classes].tolist()),
        region=tuple(train.region[:num_classes].tolist()),
        images=train.images,
    )
    write_atomically(kept, json.dumps({"format": _FORMAT, **asdict(counted)}) + "\n")
    return counted


def count_masks(masks: Sequence[Path], num_classes: int, *, processes: int = 1) -> Tally:
    """Sums over `masks`, in this process or in several; the same whichever."""
    chunks = [masks[start : start + _CHUNK] for start in range(0, len(masks), _CHUNK)]
    total = Tally.empty()
    for tally in _tallies(chunks, num_classes, min(processes, len(chunks))):
        total.add(tally)
    return total


def _tallies(chunks: Sequence[Sequence[Path]], num_classes: int, processes: int) -> Iterator[Tally]:
    if processes <= 1:
        yield from (_count_chunk(chunk, num_classes) for chunk in chunks)
        return
    # Spawned: a fork of a process that has threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_count_chunk, chunks, repeat(num_classes))


def _count_chunk(masks: Sequence[Path], num_classes: int) -> Tally:
    legal = np.zeros(256, bool)
    legal[:num_classes] = True
    legal[IGNORE_INDEX] = True
    tally = Tally.empty()
    for mask in masks:
        ids = _read_mask(mask)
        if isinstance(ids, str):
            tally.broken.append(f"{mask.name}: {ids}")
            continue
        counts = np.bincount(ids.ravel(), minlength=256)
        tally.pixel += counts
        tally.region += counts > 0
        tally.images += 1
        illegal = np.flatnonzero((counts > 0) & ~legal)
        if illegal.size:
            tally.strange.append((mask.name, {int(k): int(counts[k]) for k in illegal}))
    return tally


def _read_mask(path: Path) -> npt.NDArray[np.uint8] | str:
    """(H, W) uint8 ids as stored (palette colours are not looked up), or why not."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P"):
                return f"mode {picture.mode}, wanted one channel of 8 bits"
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error) or type(error).__name__


def _faults(split: str, tally: Tally, num_classes: int) -> list[str]:
    """One line for each kind of fault in a split."""
    where, faults = f"annotations/{split}", []
    if tally.broken:
        first = "; ".join(tally.broken[:_SHOWN])
        faults.append(f"{where}: {len(tally.broken)} masks cannot be read, first: {first}")
    if tally.strange:
        pixels: dict[int, int] = {}
        for _, ids in tally.strange:
            for k, count in ids.items():
                pixels[k] = pixels.get(k, 0) + count
        shown = ", ".join(f"{k} ({count} pixels)" for k, count in sorted(pixels.items())[:_SHOWN])
        more = f" and {len(pixels) - _SHOWN} more" if len(pixels) > _SHOWN else ""
        names = ", ".join(f"{name} (id {', '.join(map(str, ids))})" for name, ids in tally.strange[:_SHOWN])
        faults.append(
            f"{where}: {len(tally.strange)} of {tally.images} masks hold label ids that are neither"
            f" 0 to {num_classes - 1} nor {IGNORE_INDEX}: {shown}{more}; first masks: {names}"
        )
    elif not tally.broken and not tally.pixel[:num_classes].any():
        faults.append(f"{where}: every pixel of its {tally.images} masks is void ({IGNORE_INDEX})")
    return faults


def _content_key(data: PreparedData, splits: Mapping[str, Sequence[Pair]]) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, data.train_split, list(data.classes)]).encode())
    for split, pairs in splits.items():
        digest.update(json.dumps([split, len(pairs)]).encode())
        for pair in pairs:
            facts = pair.mask.stat()
            digest.update(f"{pair.mask.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _read_kept(path: Path, num_classes: int) -> Frequencies | None:
    """A kept count; None where there is none, or it is not whole."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        counted = Frequencies(tuple(kept["pixel"]), tuple(kept["region"]), kept["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    numbers = (*counted.pixel, *counted.region, counted.images)
    whole = len(counted.pixel) == len(counted.region) == num_classes and all(
        isinstance(number, int) for number in numbers
    )
    return counted if whole and kept.get("format") == _FORMAT else None
