"""Class frequencies of a split: counted when first needed, kept by content.

Letters: K classes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trainer.base.errors import DataError
from trainer.data.frequency_tables import FrequencyTable
from trainer.data.mask_sets import MaskSet, split_of
from trainer.data.prepare import PreparedData
from trainer.data.tally import Chunks, Tally, chunks_of, count_locally
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

log = logging.getLogger(__name__)

ChunkCounter = Callable[[Chunks, frozenset[int]], Iterable[Tally]]

_FORMAT = 2  # of the kept files
_SHOWN = 5  # offenders named in a message
_MANY = 2000  # masks that take long enough to be told of


def _say_nothing(_: str) -> None: ...


def _show_nothing(_: int) -> None: ...


@dataclass(frozen=True)
class Frequencies:
    """Of one split, per class in label order: pixels, and pictures that contain the class."""

    pixel: tuple[int, ...]
    region: tuple[int, ...]
    images: int
    source: str = "counted"  # or the table they were read from


def frequencies_of(
    data: PreparedData,
    storage: Storage,
    *,
    processes: int = 1,
    say: Callable[[str], None] = _say_nothing,
) -> Frequencies:
    """Pixels and pictures per class of the training split; both splits' masks are read and checked.

    Counted once for the same file names, sizes, times of change, classes and split.

    Args:
        say: told before many masks of a split are counted.

    Raises:
        DataError: a mask cannot be read, holds an id that is neither a class nor void, or a split has
            no valid pixel; the message gives counts and the first offenders of both splits.
    """
    sets = [split_of(data, split) for split in dict.fromkeys((data.train_split, data.eval_split))]
    counted, faults = [], []
    for one in sets:
        try:
            counted.append(count(one, storage, processes=processes, say=say))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("; ".join(faults))
    return counted[0]


def frequencies_in(table: FrequencyTable, *, source: str, images: int) -> Frequencies:
    """A table in the place of a count; masks are not read.

    Args:
        images: pictures of the training split at hand; the table's own may be others.
    """
    return Frequencies(table.pixel, table.region, images, source)


def count(
    masks: MaskSet,
    storage: Storage | None = None,
    *,
    processes: int = 1,
    count_chunks: ChunkCounter | None = None,
    advance: Callable[[int], None] = _show_nothing,
    say: Callable[[str], None] = _say_nothing,
) -> Frequencies:
    """Pixels and pictures per class of any split.

    Args:
        storage: keeps the result by content; None neither looks there nor keeps.
        processes: that count, on this machine.
        count_chunks: in their place, another way to count, such as Ray's (`trainer.count`).
        advance: told the number of masks that were done since the last call.
        say: told once, with their number, that many masks are about to be counted.

    Raises:
        DataError: naming every kind of fault that a mask has; nothing is kept then.
        WorkerLost: a counting process was killed.
    """
    kept = None if storage is None else _kept_file(masks, storage)
    known = None if kept is None else _read_kept(kept, len(masks.classes))
    if known is not None:
        advance(len(masks.masks))
        return known
    if len(masks.masks) >= _MANY:
        say(f"counting class frequencies: {len(masks.masks)} masks in annotations/{masks.split}")
    chunks, total = chunks_of(masks.masks), Tally()
    if count_chunks is None:
        parts: Iterable[Tally] = count_locally(chunks, masks.legal, processes)
    else:
        parts = count_chunks(chunks, masks.legal)
    for part in parts:
        total.add(part)
        advance(part.images + len(part.broken))
    if faults := _faults(masks, total):
        raise DataError("; ".join(faults))
    classes = slice(masks.first_id, masks.first_id + len(masks.classes))
    counted = Frequencies(tuple(total.pixel[classes]), tuple(total.region[classes]), total.images)
    if kept is not None:
        _keep(counted, kept)
    return counted


def imbalance_factor(class_counts: Sequence[int]) -> float | None:
    """Largest over smallest count of the classes that occur (arXiv 2204.01969, Fig. 5b); None without any."""
    present = [count for count in class_counts if count > 0]
    return max(present) / min(present) if present else None


def _faults(masks: MaskSet, tally: Tally) -> list[str]:
    """One line for each kind of fault in a split; the same in whatever order masks were counted."""
    where, faults = f"annotations/{masks.split}", []
    if tally.broken:
        shown = "; ".join(f"{name}: {reason}" for name, reason in sorted(tally.broken)[:_SHOWN])
        noun = "mask" if len(tally.broken) == 1 else "masks"
        faults.append(f"{where}: {len(tally.broken)} {noun} cannot be read, first: {shown}")
    if tally.strange:
        illegal = [(k, n) for k, n in enumerate(tally.pixel) if n and k not in masks.legal]
        shown = ", ".join(f"{k} ({n} pixels)" for k, n in illegal[:_SHOWN])
        more = f" and {len(illegal) - _SHOWN} more" if len(illegal) > _SHOWN else ""
        first = sorted(tally.strange, key=lambda item: item[0])[:_SHOWN]
        names = ", ".join(f"{name} (id {', '.join(map(str, ids))})" for name, ids in first)
        faults.append(
            f"{where}: {len(tally.strange)} of {tally.images} masks hold label ids that are neither"
            f" {masks.legal_words}: {shown}{more}; first masks: {names}"
        )
    elif not tally.broken and not any(tally.pixel[masks.first_id : masks.first_id + len(masks.classes)]):
        faults.append(f"{where}: every pixel of its {tally.images} masks is void")
    return faults


def _read_kept(file: StoredFile, num_classes: int) -> Frequencies | None:
    """A kept count; None where there is none, or it is not whole."""
    try:
        kept = json.loads(file.read_text())
        counted = Frequencies(tuple(kept["pixel"]), tuple(kept["region"]), kept["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    numbers = (*counted.pixel, *counted.region, counted.images)
    whole = len(counted.pixel) == len(counted.region) == num_classes and all(
        isinstance(number, int) for number in numbers
    )
    return counted if whole and kept.get("format") == _FORMAT else None


def _keep(counted: Frequencies, file: StoredFile) -> None:
    kept = {"pixel": counted.pixel, "region": counted.region, "images": counted.images}
    try:
        file.write(json.dumps({"format": _FORMAT, **kept}) + "\n")
    except OSError as error:  # what was counted is right all the same
        log.warning("the class frequencies cannot be kept: %s", error)


def _kept_file(masks: MaskSet, storage: Storage) -> StoredFile:
    """Named by the label mapping, the split, and the masks' names, sizes and times of change."""
    head = [_FORMAT, masks.split, list(masks.classes), masks.first_id, len(masks.masks)]
    digest = hashlib.sha256(json.dumps(head).encode())
    for mask in masks.masks:
        try:
            facts = mask.stat()
        except OSError as error:
            raise DataError(f"{mask}: {error.strerror}") from None
        digest.update(f"{mask.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return storage.frequencies.file(f"{digest.hexdigest()}.json")
