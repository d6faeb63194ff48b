"""Names of what is made never collide."""

from __future__ import annotations

from pathlib import Path

from trainer.followups.names import distinct_names, distinct_words


def test_a_picture_is_called_by_its_stem() -> None:
    """The same file given twice is one picture."""
    paths = [Path("/a/one.png"), Path("/b/two.jpg"), Path("/a/one.png")]
    assert distinct_names(paths) == {Path("/a/one.png"): "one", Path("/b/two.jpg"): "two"}


def test_the_same_stem_in_two_folders() -> None:
    """As many folders as tell them apart; those that are alone keep their short name."""
    paths = [Path("/x/a/p.png"), Path("/x/b/p.png"), Path("/y/b/p.png"), Path("/q.png")]
    assert list(distinct_names(paths).values()) == ["a-p", "x-b-p", "y-b-p", "q"]


def test_names_differ_on_every_file_system() -> None:
    """Endings tell apart what lies in one folder; a number what differs by upper case alone."""
    paths = [Path("/a/p.png"), Path("/a/p.jpg"), Path("/a/Q.png"), Path("/a/q.png")]
    names = list(distinct_names(paths).values())
    assert names[:2] == ["p-png", "p-jpg"]
    assert len({name.casefold() for name in names}) == 4


def test_models_of_one_name_are_numbered() -> None:
    """In their order."""
    assert distinct_words(["e1", "e2", "E1", "e1"]) == ["e1", "e2", "E1-2", "e1-3"]
