"""Class frequencies of a split: counted when first needed, kept by content.

Letters: K classes.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trainer.base.content_key import ContentKey
from trainer.base.errors import DataError
from trainer.base.text import first_names
from trainer.data.frequency_tables import FrequencyTable
from trainer.data.listing import MOST_NAMED, key_of, say_all
from trainer.data.mask_layouts import MaskSet, split_of
from trainer.data.prepare import PreparedData
from trainer.data.tally import NUM_IDS, Chunks, Tally, chunks_of, count_locally
from trainer.spec.data.label_map import LabelMap, ids_in_words, strange_ids_hint
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

log = logging.getLogger(__name__)

ChunkCounter = Callable[[Chunks, LabelMap], Iterable[Tally]]

_FORMAT = 4  # of the kept files
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


@dataclass(frozen=True)
class Counted:
    """All that was counted of one split: by class, and by id as stored in the masks, (256,) each."""

    split: str
    frequencies: Frequencies
    id_pixel: tuple[int, ...]
    id_region: tuple[int, ...]


def count_splits(
    data: PreparedData,
    storage: Storage,
    *,
    processes: int = 1,
    say: Callable[[str], None] = _say_nothing,
) -> tuple[Counted, Counted]:
    """What the masks of the training split hold, and those of the evaluated one; all are read and checked.

    Counted once for the same files (`content_key`), classes, label map and split.

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
    return counted[0], counted[-1]


def frequencies_in(table: FrequencyTable, *, source: str, images: int) -> Frequencies:
    """A table in the place of what was counted.

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
) -> Counted:
    """Pixels and pictures per class, and per id, of any split.

    Args:
        storage: keeps the result by content; None neither looks there nor keeps.
        processes: that count, on this machine.
        count_chunks: in their place, another way to count, such as Ray's (`trainer.count`).
        advance: told the number of masks that were done since the last call.
        say: told once, with their number, that many masks are about to be counted; and of each faulty mask.

    Raises:
        DataError: naming every kind of fault that a mask has; nothing is kept then.
        WorkerLost: a counting process was killed.
    """
    key = None if storage is None else _key(masks)
    known = None if key is None or storage is None else _read_kept(_file(key, storage), masks)
    if known is not None:
        advance(len(masks.masks))
        return known
    if key is not None:
        key.settle()
    if len(masks.masks) >= _MANY:
        say(f"counting class frequencies: {len(masks.masks)} masks in annotations/{masks.split}")
    chunks, total = chunks_of(masks.masks), Tally()
    if count_chunks is None:
        parts: Iterable[Tally] = count_locally(chunks, masks.ids, processes)
    else:
        parts = count_chunks(chunks, masks.ids)
    for part in parts:
        total.add(part)
        advance(part.images + len(part.broken))
    if faults := _faults(masks, total):
        strange = [(name, f"id {', '.join(map(str, ids))}") for name, ids in total.strange]
        say_all(f"annotations/{masks.split}", [*total.broken, *strange], say)
        raise DataError("; ".join(faults))
    counted = _counted(masks, total)
    if key is not None and storage is not None:
        if _key(masks) == key:
            _keep(counted, _file(key, storage))
        else:
            log.warning("annotations/%s changed while it was counted: the count is not kept", masks.split)
    return counted


def _counted(masks: MaskSet, total: Tally) -> Counted:
    num_classes = len(masks.classes)
    pixel = [0] * NUM_IDS
    for k, of in masks.ids:
        pixel[of] += total.pixel[k]
    regions = tuple(total.class_region[:num_classes])
    frequencies = Frequencies(tuple(pixel[:num_classes]), regions, total.images)
    return Counted(masks.split, frequencies, tuple(total.pixel), tuple(total.region))


def _faults(masks: MaskSet, tally: Tally) -> list[str]:
    """One line for each kind of fault in a split; the same in whatever order masks were counted."""
    where, faults = f"annotations/{masks.split}", []
    if tally.broken:
        shown = "; ".join(f"{name}: {reason}" for name, reason in sorted(tally.broken)[:MOST_NAMED])
        noun = "mask" if len(tally.broken) == 1 else "masks"
        faults.append(f"{where}: {len(tally.broken)} {noun} cannot be read, first: {shown}")
    if tally.strange:
        legal, held = dict(masks.ids), [k for k, n in enumerate(tally.pixel) if n]
        illegal = [(k, tally.pixel[k]) for k in held if k not in legal]
        shown = first_names([f"{k} ({n} pixels)" for k, n in illegal], most=MOST_NAMED)
        hint = strange_ids_hint(masks.label_map, len(masks.classes), held, dataset=masks.dataset)
        first = sorted(tally.strange, key=lambda item: item[0])[:MOST_NAMED]
        names = ", ".join(f"{name} (id {', '.join(map(str, ids))})" for name, ids in first)
        faults.append(
            f"{where}: {len(tally.strange)} of {tally.images} masks hold label ids other than"
            f" {ids_in_words(masks.ids)}: {shown}; first masks: {names}"
            f"; hint: {hint}"
        )
    elif not tally.broken and not any(tally.class_region[: len(masks.classes)]):
        faults.append(f"{where}: every pixel of its {tally.images} masks is void")
    return faults


def _read_kept(file: StoredFile, masks: MaskSet) -> Counted | None:
    """A kept count; None where there is none, or it is not whole."""
    try:
        kept = json.loads(file.read_text())
        columns = {name: tuple(kept[name]) for name in ("pixel", "region", "id_pixel", "id_region")}
        images = kept["images"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    by_class = Frequencies(columns["pixel"], columns["region"], images)
    counted = Counted(masks.split, by_class, columns["id_pixel"], columns["id_region"])
    numbers = (*itertools.chain.from_iterable(columns.values()), images)
    sizes = [len(column) for column in columns.values()]
    whole = sizes == [len(masks.classes)] * 2 + [NUM_IDS] * 2 and all(isinstance(n, int) for n in numbers)
    return counted if whole and kept.get("format") == _FORMAT else None


def _keep(counted: Counted, file: StoredFile) -> None:
    one = counted.frequencies
    kept = {"format": _FORMAT, "pixel": one.pixel, "region": one.region, "images": one.images}
    kept |= {"id_pixel": counted.id_pixel, "id_region": counted.id_region}
    try:
        file.write(json.dumps(kept) + "\n")
    except OSError as error:  # what was counted is right all the same
        log.warning("the class frequencies cannot be kept: %s", error)


def _key(masks: MaskSet) -> ContentKey:
    """Of the masks' content, the split, and what their ids mean."""
    meaning = json.dumps([_FORMAT, masks.split, list(masks.classes), masks.ids, len(masks.masks)])
    return key_of(masks.masks, also=meaning)


def _file(key: ContentKey, storage: Storage) -> StoredFile:
    return storage.frequencies.file(f"{key.digest}.json")
