"""The form of a sweep: its fields as the document that POST /sweeps takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from service.api.web.asked import POINTERS, Asked, asked_for, put, twice
from trainer.base.documents import MalformedDocument, parse_document
from trainer.base.errors import Problem

LINES = (1, 2, 3)  # of axes; more of them as JSON
_PLAIN = {
    "name": "/name",
    **{
        name: f"/base{POINTERS[name]}"
        for name in ("recipe", "dataset", "root", "model", "method", "iterations")
    },
    "metric": "/metric",
}
NAMES = (*_PLAIN, "seeds", *(f"{kind}{line}" for line in LINES for kind in ("axis", "values")))


def asked_for_sweep(fields: Mapping[str, str]) -> Asked:
    """The document; a field that is empty says nothing, and the JSON says whatever has no field."""
    document, problems = asked_for(fields, _PLAIN)
    if problems:
        return Asked(document, problems)
    document.setdefault("base", {})  # so that what is missing there is told at its field
    found = [*_seeds(document, fields), *_axes(document, fields)]
    return Asked(document, tuple(found))


def pointers_of(fields: Mapping[str, str]) -> dict[str, str]:
    """Where each field stands in the document: lines of axes that are empty are none of it."""
    places = {"seeds": "/seeds"}
    for number, line in enumerate(_filled(fields)):
        places |= {f"axis{line}": f"/axes/{number}/pointer", f"values{line}": f"/axes/{number}/grid"}
    return {**_PLAIN, **places}


def _seeds(document: dict[str, Any], fields: Mapping[str, str]) -> Iterator[Problem]:
    if text := fields.get("seeds", "").strip():
        seeds = _listed(text)
        if seeds is None:
            yield Problem("/seeds", f"{text[:80]!r} is no list", "whole numbers with commas, such as 0, 1, 2")
        elif not put(document, "/seeds", seeds):
            yield twice("/seeds")


def _axes(document: dict[str, Any], fields: Mapping[str, str]) -> Iterator[Problem]:
    axes: list[dict[str, Any]] = []
    for number, line in enumerate(_filled(fields)):
        pointer, text = (fields.get(f"{kind}{line}", "").strip() for kind in ("axis", "values"))
        values = _listed(text)
        if values is None:
            allowed = 'values as JSON with commas, such as 0.1, 0.3 or "small", "large"'
            yield Problem(f"/axes/{number}/grid", f"{text[:80]!r} is no list of them", allowed)
        axes.append({"pointer": pointer, "grid": values})
    if axes and not put(document, "/axes", axes):
        yield twice("/axes")


def _filled(fields: Mapping[str, str]) -> list[int]:
    """The lines that say something."""
    return [
        line for line in LINES if any(fields.get(f"{kind}{line}", "").strip() for kind in ("axis", "values"))
    ]


def _listed(text: str) -> list[Any] | None:
    """Values with commas between them; None where they are no JSON."""
    try:
        found = parse_document(f"[{text}]".encode())
    except (MalformedDocument, UnicodeEncodeError):
        return None
    return found if isinstance(found, list) else None
