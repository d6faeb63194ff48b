"""Variables that are nearly a setting's: whoever wrote one takes it for set."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

_NEAR = 0.85  # of 1: a letter more or less, or two that changed places; REBALANCE_DATA is not near DATA_DIR


def misspelt(variables: Iterable[str], settings: Collection[str], *, prefix: str) -> list[str]:
    """A line for each of `variables` that begins with `prefix` and goes on nearly as one of `settings`.

    Others have variables of this prefix, too: compose files, the command line.
    """
    names = sorted(each.removeprefix(prefix) for each in variables if each.startswith(prefix))
    near = {name: difflib.get_close_matches(name, settings, n=1, cutoff=_NEAR) for name in names}
    return [
        f"{prefix}{name}: is no setting; allowed: {prefix}{found[0]}"
        for name, found in near.items()
        if found and name not in settings
    ]
