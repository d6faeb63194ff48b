"""Every picture of a data set decoded once before training: all that cannot be read are named at once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from trainer.base.errors import DataError, WorkerLost
from trainer.base.processes import in_processes
from trainer.data.headers import Header, Refused, mask_header, read_header
from trainer.data.listing import MOST_NAMED, key_of, printable_name, say_all
from trainer.data.splits import Pair
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

log = logging.getLogger(__name__)

# Decodes a picture as the training loader does; its header, or why it cannot be used. Survives pickling.
Decode = Callable[[str], Header | str]

_FORMAT = 1  # of the kept files; raise it when decoding or the rules change
_CHUNK = 16  # pictures a process takes at a time
_A_PROCESS = 100  # pictures: fewer are decoded sooner than one more process starts
_SECONDS = 10.0  # between two lines about progress


class Pictures(NamedTuple):
    """Of one split, all of which decode."""

    images: int
    grey: int  # of one channel, read as three equal ones


@dataclass
class _Findings:
    """What was found so far, in whatever order."""

    done: int = 0
    grey: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)  # name, reason

    def add(self, other: _Findings) -> None:
        self.done += other.done
        self.grey += other.grey
        self.bad += other.bad


def check_pictures(
    pairs: Sequence[Pair],
    split: str,
    decode: Decode,
    *,
    storage: Storage,
    processes: int = 1,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Pictures:
    """What there is to know of a split's pictures; each is decoded, once for the same files (`content_key`).

    Args:
        say: told of progress, where it takes long, and of every picture that cannot be used.

    Raises:
        DataError: naming how many cannot be read, and the first of them; nothing is kept then.
        WorkerLost: a process was killed.
    """
    files = [path for pair in pairs for path in pair]
    also = json.dumps(["pictures", _FORMAT, split])
    key = key_of(files, also=also)
    kept = storage.pictures.file(f"{key.digest}.json")
    known = _read_kept(kept)
    if known is not None and known.images == len(pairs):
        return known
    key.settle()
    findings = _Findings()
    shown_at = clock()
    for part in _decoded(pairs, decode, processes):
        findings.add(part)
        if clock() - shown_at >= _SECONDS:
            shown_at = clock()
            say(f"decoding the pictures of images/{split}: {findings.done} of {len(pairs)}")
    if findings.bad:
        say_all(f"images/{split}", findings.bad, say)
        raise DataError(_fault(split, findings))
    found = Pictures(len(pairs), findings.grey)
    if key_of(files, also=also) == key:
        _keep(found, kept)
    else:
        log.warning("images/%s changed while it was read: what was found is not kept", split)
    return found


def _decoded(pairs: Sequence[Pair], decode: Decode, processes: int) -> Iterable[_Findings]:
    texts = [(str(pair.picture), str(pair.mask)) for pair in pairs]
    chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
    work = partial(_look_at, decode=decode)
    processes = min(processes, len(texts) // _A_PROCESS)
    if processes <= 1:
        yield from map(work, chunks)
        return
    try:
        yield from in_processes(work, chunks, processes)
    except BrokenProcessPool:
        raise WorkerLost("a process that decoded pictures was killed") from None


def _look_at(chunk: Sequence[tuple[str, str]], decode: Decode) -> _Findings:
    findings = _Findings(done=len(chunk))
    for picture, mask in chunk:
        found = decode(picture)
        if isinstance(found, Header):
            findings.grey += found.grey
            reason = _misfit(found, read_header(Path(mask), mask_header))
        else:
            reason = found
        if reason is not None:
            findings.bad.append((printable_name(Path(picture).name), reason))
    return findings


def _misfit(picture: Header, mask: Header | Refused) -> str | None:
    if isinstance(mask, Refused) or mask.size == picture.size:
        return None  # a bad mask is told where masks are counted
    return "is {1}×{0}, its mask {3}×{2}".format(*picture.size, *mask.size)


def _fault(split: str, findings: _Findings) -> str:
    first = "; ".join(f"{name}: {reason}" for name, reason in sorted(findings.bad)[:MOST_NAMED])
    noun = "picture" if findings.done == 1 else "pictures"
    return f"images/{split}: {len(findings.bad)} of {findings.done} {noun} cannot be used, first: {first}"


def _read_kept(file: StoredFile) -> Pictures | None:
    """What was kept; None where there is nothing, or it is not whole."""
    try:
        kept = json.loads(file.read_text())
        found = Pictures(kept["images"], kept["grey"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = kept.get("format") == _FORMAT and all(type(number) is int for number in found)
    return found if whole else None


def _keep(found: Pictures, file: StoredFile) -> None:
    try:
        file.write(json.dumps({"format": _FORMAT, **found._asdict()}) + "\n")
    except OSError as error:  # what was found is right all the same
        log.warning("what was found of the pictures cannot be kept: %s", error)
