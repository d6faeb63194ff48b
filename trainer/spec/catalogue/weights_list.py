"""The pretrained weights that have a name: where they are published, and how a file is known to be theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit


@dataclass(frozen=True)
class PretrainedWeights:
    """One published file."""

    name: str
    urls: tuple[str, ...]  # of the same bytes, the first is tried first
    sha256: str | None  # its first hexadecimal digits; None where none are published
    layout: str  # whose names and order its tensors have; see `trainer.weights.layouts`
    source: str  # what names it
    licence: str | None = None

    @property
    def file_names(self) -> tuple[str, ...]:
        """What it is called where it is published."""
        return tuple(dict.fromkeys(PurePosixPath(urlsplit(url).path).name for url in self.urls))

    def is_digest(self, sha256: str) -> bool:
        """Whether a file with this SHA-256 is the published one; True of any where no digits are known."""
        return self.sha256 is None or sha256.startswith(self.sha256)


Published = Mapping[str, PretrainedWeights]


def _read() -> Published:
    text = (resources.files("trainer.spec.catalogue") / "weights.json").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            name: PretrainedWeights(
                name=name,
                urls=tuple(entry["urls"]),
                sha256=entry["sha256"],
                layout=entry["layout"],
                source=entry["source"],
                licence=entry.get("licence"),
            )
            for name, entry in json.loads(text).items()
        }
    )


WEIGHTS: Published = _read()
