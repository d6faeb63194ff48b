"""Files that cannot be used: the first of them in a message, every one of them in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_NAMED = 5  # in a message


def say_all(where: str, offenders: Sequence[tuple[str, str]], say: Callable[[str], None]) -> None:
    """A line for each, where a message names only the first.

    Args:
        where: the directory that they lie in.
        offenders: (file name, what is wrong).
    """
    if len(offenders) > MOST_NAMED:
        for name, reason in sorted(offenders):
            say(f"{where}/{name}: {reason}")
