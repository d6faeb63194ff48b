"""The parts of which an own model may be made, by room; read from own_parts.json, without mmsegmentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

Room = Literal[
    "networks",
    "necks",
    "heads",
    "cascade_heads",
    "norms",
    "activations",
    "convolutions",
    "upsamplers",
    "plugins",
]


@dataclass(frozen=True)
class Part:
    """A class of mmsegmentation or mmcv that computes, and does nothing else when it is made.

    Attributes:
        name: what `type` says.
        parameters: keys that may stand beside `type`.
        required: those among them that have no default.
        defaults: what is written out where a spec says nothing: a default that names synchronised batch norm.
        refused: why it is no part of an own model, though it only computes; None where it is one.
    """

    name: str
    parameters: frozenset[str]
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None


@cache
def rooms() -> Mapping[str, Mapping[str, Part]]:
    """All parts, by room and name."""
    return MappingProxyType(
        {
            room: MappingProxyType(
                {
                    name: Part(
                        name=name,
                        parameters=frozenset(one["parameters"]),
                        required=tuple(one.get("required", ())),
                        defaults=MappingProxyType(one.get("defaults", {})),
                        refused=one.get("refused"),
                    )
                    for name, one in parts.items()
                }
            )
            for room, parts in _document()["rooms"].items()
        }
    )


@cache
def usable(room: Room) -> tuple[str, ...]:
    """Names of the parts that an own model may have in `room`, in alphabetical order."""
    return tuple(name for name, part in sorted(rooms()[room].items()) if part.refused is None)


@cache
def unfit() -> Mapping[str, str]:
    """Classes of mmsegmentation that stand in no room, by name, each with the reason."""
    return MappingProxyType(_document()["unfit"])


@cache
def _document() -> dict[str, Any]:
    file = resources.files("trainer.spec.catalogue") / "own_parts.json"
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
