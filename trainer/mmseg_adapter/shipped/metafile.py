"""Published scores and weights of config files, from mmsegmentation's metafiles.

An entry names its file, and sometimes the wrong one; the name of its weights is what was trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from trainer.mmseg_adapter.shipped.files import CONFIGS

_DIGITS = re.compile(r"_20\d{6}(_\d{6})?(-[0-9a-f]{8})?$|-[0-9a-f]{8}$")
_PARTS = re.compile(r"[-_.]+|(?<=[a-z])(?=\d{3,}x\d)")
_GPUS = re.compile(r"^(\d{1,2})x(\d{1,2})$")


@dataclass(frozen=True)
class Published:
    """What a metafile says of a trained model; scores in percent."""

    mIoU: float | None
    mIoU_ms: float | None  # several scales and mirrored
    checkpoint: str | None


def published(names: Iterable[str], root: Path = CONFIGS) -> dict[str, Published]:
    """Of each file that has been trained and published, what came out.

    Args:
        names: all files, FOLDER/NAME.
        root: where they and the metafiles lie.
    """
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(name.split("/")[0], []).append(name)
    found: dict[str, Published] = {}
    for folder, files in sorted(by_folder.items()):
        for entry in _entries(root / folder / "metafile.yaml"):
            trained = matched(_said(entry), entry.get("Weights"), files)
            if trained is not None:
                found[trained] = _of(entry)
    return found


def matched(said: str, weights: str | None, files: Iterable[str]) -> str | None:
    """The file that was trained: the one said, unless another has more of the words in the weights' name.

    Args:
        said: FOLDER/NAME as the entry says.
        weights: the URL of the weights.
        files: those of the folder.
    """
    there = sorted(files)
    words = _words(Path(urlsplit(weights or "").path).stem)
    lacking = {file: len(words - _words(_stem(file))) for file in there}
    if said in lacking and lacking[said] == min(lacking.values()):
        return said
    if not words or not there:
        return said if said in lacking else None
    # Of equally good ones the one that says least else.
    return min(there, key=lambda file: (lacking[file], len(_words(_stem(file)) - words), file))


def _entries(metafile: Path) -> list[Mapping[str, Any]]:
    if not metafile.is_file():
        return []
    content: Any = yaml.safe_load(metafile.read_text(encoding="utf-8"))
    models: list[Mapping[str, Any]] = content["Models"] if isinstance(content, dict) else content
    return models


def _said(entry: Mapping[str, Any]) -> str:
    return str(entry.get("Config", "")).removeprefix("configs/").removesuffix(".py")


def _of(entry: Mapping[str, Any]) -> Published:
    results: Any = entry.get("Results") or {}
    first = results[0] if isinstance(results, list) else results
    metrics = first.get("Metrics") or {}
    single, several = metrics.get("mIoU"), metrics.get("mIoU(ms+flip)")
    return Published(
        None if single is None else float(single),
        None if several is None else float(several),
        entry.get("Weights"),
    )


def _stem(file: str) -> str:
    return file.rsplit("/", 1)[-1]


def _words(stem: str) -> frozenset[str]:
    """Words of a name; GPUs x pictures as files write them, date and hash left out."""
    parts = _PARTS.split(_DIGITS.sub("", stem))
    return frozenset(_GPUS.sub(r"\1xb\2", part) for part in parts if part)
