"""How a file comes to lie in the storage under a name: fetched or added, and looked at again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from trainer.base.errors import WeightsError
from trainer.spec.catalogue.weights_list import WEIGHTS, PretrainedWeights, Published
from trainer.storage.weights import (
    NAME_WORDS,
    Partial,
    StoredWeights,
    WeightsFolder,
    WeightsNote,
    digest_of,
    is_weights_name,
)
from trainer.weights.download import Advance, DownloadFailed, Patience, download
from trainer.weights.pickles import check_pickles

PATIENCE = Patience(silence=60.0, wait=time.sleep)
Check = Callable[[Path], object]  # raises WeightsError where a file is none of tensors


def fetch(
    weights: PretrainedWeights,
    folder: WeightsFolder,
    *,
    advance: Advance,
    say: Callable[[str], None],
    patience: Patience = PATIENCE,
) -> StoredWeights:
    """Downloads a published file; the next address where one does not give it. Nothing where it is there.

    What has arrived stays where a download breaks off, and the next goes on with it; what has another
    SHA-256, or is no file of tensors, is deleted.

    Raises:
        WeightsError: with what each address said.
        DiskFull: there is no room; nothing of it stays.
        OSError: the storage cannot be written to.
    """
    if not weights.urls:
        raise WeightsError(f"{weights.name}: no address is known; allowed: `rebalance weights add FILE`")
    told: list[str] = []
    with folder.receiving(weights.name) as part:
        if (found := folder.find(weights.name)) is not None:
            return found
        for url in weights.urls:
            for _ in range(2):
                resumed = part.size > 0
                try:
                    say(f"{weights.name}: {url}" + (f", from byte {part.size}" if resumed else ""))
                    download(url, part, patience, advance, pinned=weights.sha256 is not None)
                    return _take(weights, part, url)
                except (DownloadFailed, WeightsError) as error:
                    say(f"{weights.name}: {url} {error}")
                    told.append(f"{url} {error}")
                    if isinstance(error, DownloadFailed) or not resumed:
                        break  # whole and wrong: once more from the beginning, if it began with old bytes
    raise WeightsError(f"{weights.name} was not fetched: {'; '.join(told)}")


def _take(weights: PretrainedWeights, part: Partial, url: str) -> StoredWeights:
    """What has arrived as the weights of this name; if it is not what it should be, nothing of it stays."""
    try:
        sha256, size = digest_of(part.local)
        if not weights.is_digest(sha256):
            raise WeightsError(f"gave a file with SHA-256 {sha256[:16]}…, not {weights.sha256}…: deleted")
        try:
            check_pickles(part.local)
        except WeightsError as error:
            raise WeightsError(f"gave a file that {error}: deleted") from None
    except WeightsError:
        part.restart()
        raise
    return part.keep(WeightsNote(sha256=sha256, size=size, layout=weights.layout, source=url))


def add(
    path: Path,
    folder: WeightsFolder,
    *,
    name: str | None,
    layout: str | None,
    check: Check | None = None,
    published: Published = WEIGHTS,
) -> StoredWeights:
    """Copies a file into the storage, a published one under its name, any other under `name` or its own.

    Args:
        layout: whose names its tensors have; by default what is known of it, else mmsegmentation's.
        check: refuses a file that is none of tensors, beside `check_pickles`.

    Raises:
        WeightsError: it is none; it is not what it is called; or other weights lie there under this name.
        DiskFull, OSError: it cannot be read, or not be written.
    """
    try:
        check_pickles(path)
    except WeightsError as error:
        raise WeightsError(f"{path} {error}") from None
    if check is not None:
        check(path)
    sha256, size = digest_of(path)
    known = _published(path, sha256, name, published)
    name = known.name if known is not None else _own_name(path, name)
    if known is not None and known.sha256 is not None and layout not in (None, known.layout):
        raise WeightsError(f"--layout {layout}: {name} has the layout {known.layout}")
    there = folder.find(name)
    if there is not None and there.note.sha256 != sha256:
        raise WeightsError(
            f"{name}: other weights lie there under this name (SHA-256 {there.note.sha256[:16]}…), with which"
            " experiments may have been trained; allowed: another one with --name"
        )
    layout = layout or (known.layout if known is not None else "mmseg")
    note = WeightsNote(sha256=sha256, size=size, layout=layout, source=path.name)
    if there is not None:
        folder.keep_note(name, note)
        return StoredWeights(name, there.file, note)
    return folder.copy_in(path, name, note)


def _published(path: Path, sha256: str, name: str | None, published: Published) -> PretrainedWeights | None:
    """Which published weights the file is, None if it is somebody's own. Raises WeightsError."""
    by_digest = [each for each in published.values() if each.sha256 and each.is_digest(sha256)]
    called = [
        each
        for each in published.values()
        if each.name == name or (not name and path.name in each.file_names)
    ]
    for each in called:
        if not each.is_digest(sha256):
            raise WeightsError(
                f"{path} is called as {each.name} is, and is another file: its SHA-256 is {sha256[:16]}…, not"
                f" {each.sha256}…; allowed: a name of its own with --name"
            )
    found = called or by_digest
    if found and name is not None and found[0].name != name:
        raise WeightsError(f"--name {name}: the file is {found[0].name}, which is published under that name")
    return found[0] if found else None


def _own_name(path: Path, name: str | None) -> str:
    wanted = name if name is not None else re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).strip("._-")
    if not is_weights_name(wanted):
        of = "--name" if name is not None else "the file's name"
        raise WeightsError(
            f"{of}: {wanted!r} is refused; allowed: {NAME_WORDS}" + ("" if name else "; give one with --name")
        )
    return wanted


def verify(name: str, folder: WeightsFolder, published: Published = WEIGHTS) -> str | None:
    """Reads a file again: None where it is what it was, else what is wrong. It counts as unchecked then.

    A published file that somebody has put there by hand is taken over.
    """
    known, note = published.get(name), folder.note(name)
    if not folder.file(name).exists():
        return f"has arrived in part only; `rebalance weights fetch {name}` goes on with it"
    sha256, size = folder.digest(name)
    if note is not None and (note.sha256, note.size) == (sha256, size):
        return None
    if known is not None and known.sha256 is not None and known.is_digest(sha256):
        check_pickles(folder.file(name).local)
        found = WeightsNote(sha256=sha256, size=size, layout=known.layout, source="found in the storage")
        folder.keep_note(name, found)
        return None
    folder.distrust(name)
    mend = f"`rebalance weights fetch {name}`" if known and known.urls else "`rebalance weights add FILE`"
    expected = note.sha256 if note is not None else known.sha256 if known is not None else None
    if expected is None:
        return f"was put there by hand, and nobody can tell what it is; allowed: {mend}"
    return f"has SHA-256 {sha256[:16]}…, not {expected[:16]}…: it is not used any more; allowed: {mend}"
