"""Pixels and pictures per label id, summed over masks.

Every counting process imports this file first, so it loads neither numpy nor pydantic. Counts are Python's
integers: exact, however many pixels there are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.base.errors import WorkerLost
from trainer.base.processes import in_processes
from trainer.data.containers import png_damage
from trainer.data.headers import mask_fault
from trainer.data.listing import printable_name

if TYPE_CHECKING:
    from trainer.spec.data.label_map import LabelMap

NUM_IDS = 256  # that a mask of 8 bits can hold
CHUNK = 32  # masks a process takes at a time
_IDS = range(NUM_IDS)
_MASKS_A_PROCESS = 100  # fewer are counted sooner than one more process starts


@dataclass
class Tally:
    """Sums over masks; two tallies of halves add to that of the whole."""

    pixel: list[int] = field(default_factory=lambda: [0] * NUM_IDS)  # by id as stored
    region: list[int] = field(default_factory=lambda: [0] * NUM_IDS)  # masks with the id
    class_region: list[int] = field(default_factory=lambda: [0] * NUM_IDS)  # masks with the class, or void
    images: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)  # mask that cannot be read, reason
    strange: list[tuple[str, dict[int, int]]] = field(default_factory=list)  # mask, {illegal id: pixels}

    def add(self, other: Tally) -> None:
        """Takes in another tally."""
        self.pixel = [a + b for a, b in zip(self.pixel, other.pixel, strict=True)]
        self.region = [a + b for a, b in zip(self.region, other.region, strict=True)]
        self.class_region = [a + b for a, b in zip(self.class_region, other.class_region, strict=True)]
        self.images += other.images
        self.broken += other.broken
        self.strange += other.strange


Chunks = Sequence[Sequence[str]]


def chunks_of(masks: Sequence[Path]) -> Chunks:
    """Paths as texts, dealt into parts for one call of `count_chunk` each."""
    return [[str(path) for path in masks[start : start + CHUNK]] for start in range(0, len(masks), CHUNK)]


def count_masks(masks: Sequence[Path], ids: LabelMap, *, processes: int = 1) -> Tally:
    """Sums over `masks`, in this process or in several; the same whichever.

    Args:
        ids: that a mask may hold, each with its class or void.
    """
    total = Tally()
    for tally in count_locally(chunks_of(masks), ids, processes):
        total.add(tally)
    return total


def count_locally(chunks: Chunks, ids: LabelMap, processes: int) -> Iterator[Tally]:
    """A tally of each chunk, counted by at most so many processes.

    Raises:
        WorkerLost: a process was killed.
    """
    processes = min(processes, sum(map(len, chunks)) // _MASKS_A_PROCESS)
    if processes <= 1:
        yield from (count_chunk(chunk, ids) for chunk in chunks)
        return
    try:
        yield from in_processes(partial(count_chunk, ids=ids), chunks, processes)
    except BrokenProcessPool:
        raise WorkerLost("a process that counted masks was killed") from None


def count_chunk(masks: Sequence[str], ids: LabelMap) -> Tally:
    """The tally of these masks; one that cannot be read is named in it, and counted nowhere."""
    tally, class_of = Tally(), dict(ids)
    for path in masks:
        counts = _counts_of(path)
        if isinstance(counts, str):
            tally.broken.append((printable_name(Path(path).name), counts))
            continue
        tally.images += 1
        held = list(compress(_IDS, counts))
        for k in held:
            tally.pixel[k] += counts[k]
            tally.region[k] += 1
        for k in {class_of[k] for k in held if k in class_of}:  # once, whatever ids a class has
            tally.class_region[k] += 1
        strange = {k: counts[k] for k in held if k not in class_of}
        if strange:
            tally.strange.append((printable_name(Path(path).name), strange))
    return tally


def _counts_of(path: str) -> list[int] | str:
    """(256,) pixels of each id as stored (palette colours are not looked up), or why not."""
    from PIL import Image

    try:
        content = Path(path).read_bytes()
        fault = mask_fault(content)
        if fault is not None:
            return fault
        with Image.open(BytesIO(content), formats=("PNG",)) as picture:
            counts = picture.histogram()
            last = picture.getpixel((picture.width - 1, picture.height - 1))
            whole = bool(last) and not picture.info.get("interlace")
        return png_damage(content, pixels_seen=whole) or counts
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    except (SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        return str(error) or type(error).__name__
