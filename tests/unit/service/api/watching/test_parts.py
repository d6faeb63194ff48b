"""A part that is silent keeps nobody waiting for long, however many there are of it."""

from __future__ import annotations

import threading

import pytest

from service.api.watching.parts import Parts


def test_silent_parts_are_waited_for_once_and_together() -> None:
    """The others are told as they are; while one is being asked it is not asked again."""
    answers, asked = threading.Event(), []

    def silent() -> str | None:
        asked.append(1)
        assert answers.wait(20.0)
        return None

    parts = Parts({"a": silent, "b": silent, "c": lambda: None, "d": lambda: "full"}, limit_seconds=0.3)
    for _ in range(2):
        found = parts.troubles()
        assert (found["c"], found["d"]) == (None, "full")
        assert str(found["a"]).startswith("no answer within")
        assert str(found["b"]).startswith("no answer within")
    assert len(asked) == 2
    answers.set()
    assert Parts({"a": silent}, limit_seconds=20.0).troubles() == {"a": None}


def test_what_nobody_expected_is_raised_to_who_asks() -> None:
    def broken() -> str | None:
        raise ValueError("not of our making")

    with pytest.raises(ValueError, match="not of our making"):
        Parts({"a": broken}).troubles()
