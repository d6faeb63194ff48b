"""Whether a checkpoint has the bytes that were written: its archive says so, and torch does not look."""

from __future__ import annotations

import zipfile
from pathlib import Path


def damage(file: Path) -> str | None:
    """What is wrong with an archive of torch's, going on from its name; None where nothing is, or it is none.

    torch's reader is built without zip's check sums: it would take turned bits for weights.

    Raises:
        OSError, RuntimeError, zipfile.BadZipFile, EOFError: it cannot be read.
    """
    if not zipfile.is_zipfile(file):
        return None
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        if any(record.filename.endswith("/constants.pkl") for record in records):
            return "is a program of TorchScript, not a checkpoint"
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            return "is a compressed archive, which no checkpoint is"  # a few bytes may fill the memory
        broken = archive.testzip()
    return None if broken is None else f"is damaged: the check sum of {broken[:100]!r} in it is wrong"
