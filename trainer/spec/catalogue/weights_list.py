"""Weights that training can begin with, by name: where they lie and how they are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainer.spec.catalogue.shipped import packaged


@dataclass(frozen=True)
class PretrainedWeights:
    """A file of weights that others publish."""

    name: str
    urls: tuple[str, ...]  # the same file at each; none: it is not known where
    sha256: str | None  # how its digest begins, in hexadecimal digits
    layout: str  # "mmseg": as mmseg's backbones; "mmpretrain": below `backbone.`; "beit", "timm": to convert
    source: str  # which config files name it
    licence: str | None = None


def _listed() -> Mapping[str, PretrainedWeights]:
    return MappingProxyType(
        {
            name: PretrainedWeights(name=name, **{**fields, "urls": tuple(fields["urls"])})
            for name, fields in packaged("weights.json").items()
        }
    )


WEIGHTS: Mapping[str, PretrainedWeights] = _listed()
