"""The ids of follow-ups, by which commands know them from experiments. Quick to import."""

from __future__ import annotations

import re

PREFIXES = {"evaluation": "eval", "prediction": "pred", "export": "expo"}  # by kind
_ID = re.compile(rf"(?:{'|'.join(PREFIXES.values())})-[0-9a-f]{{10}}")


def is_followup_id(text: str) -> bool:
    """Whether this is the id of a follow-up, if it is one at all."""
    return _ID.fullmatch(text) is not None
