"""Which form of an answer an Accept header likes best (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.api.requests import NotAcceptable

_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def accepted(accept: str, offered: Sequence[str]) -> str:
    """The media type of `offered` liked best, of equals the one named first; the first without a header.

    A range that names more goes before one that names less, as `text/csv;q=0, text/*` shows. What stands
    beside `q` is not looked at, and a weight that is none counts as 1.

    Raises:
        NotAcceptable: it takes none of them.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    names, weights = [name for name, _ in ranges], dict(reversed(ranges))
    liked = []
    for place, media in enumerate(offered):
        kinds = (media, f"{media.partition('/')[0]}/*", "*/*")
        found = next((kind for kind in kinds if kind in weights), None)
        if found is not None and weights[found] > 0:
            liked.append((weights[found], -names.index(found), -place, media))
    if not liked:
        raise NotAcceptable(f"Accept: {accept[:200]!r} takes none of {', '.join(offered)}")
    return max(liked)[-1]


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip().lower() for each in part.split(";"))
    given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return name, float(given) if _WEIGHT.fullmatch(given) else 1.0
