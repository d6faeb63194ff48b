"""Which experiment a trial is compared with: noted by its sweep's job, for who tells of the trial later."""

from __future__ import annotations

import json

from trainer.storage.port import StoredFile


def write_reference(file: StoredFile, experiment: str) -> None:
    """Notes that differences are taken to `experiment`; one that is noted already stays."""
    if not file.exists():
        file.write(json.dumps({"experiment": experiment}) + "\n")


def read_reference(file: StoredFile) -> str | None:
    """The experiment that differences are taken to; None where nobody has noted one."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    reference = found.get("experiment") if isinstance(found, dict) else None
    return reference if isinstance(reference, str) else None
