"""What a person sees of a download: a bar in a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

from tests.unit.trainer.weights.files import published, saved
from trainer.storage.layout import Storage
from trainer.storage.weights import WeightsFolder
from trainer.weights.view import Downloads, entries, listing


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, total: int | None) -> str:
    with Downloads(stream) as shown:
        shown.say("tiny: http://h/\x1b[31m")
        for size in range(0, 1_000_001, 1000):
            shown.advance(size, total)
    return stream.getvalue()


def test_a_file_has_a_line_for_each_tenth() -> None:
    """Whatever the pieces are; nothing that would turn a terminal's colours."""
    lines = show(io.StringIO(), 1_000_000).splitlines()
    assert lines[0] == "tiny: http://h/\\u001b[31m"
    assert lines[1:] == [f"0.{tenth} MB of 1.0 MB" for tenth in range(10)] + ["1.0 MB of 1.0 MB"]


def test_a_terminal_has_a_bar() -> None:
    """And what is said above it; also where nobody knows how much is to come."""
    for total in (1_000_000, None):
        told = show(Terminal(), total)
        assert "tiny: http://h/\\u001b[31m" in told
        assert "1.0" in told


def test_the_list_says_what_lies_there(tmp_path: Path) -> None:
    """Published and own files, whole, unchecked, in part and absent."""
    folder = WeightsFolder(Storage.at(tmp_path))
    known = {name: published(saved(), "http://h/x", name=name) for name in ("absent", "begun", "by_hand")}
    folder.folder.file("begun.part").write(b"12345")
    folder.file("by_hand").write(b"x")
    folder.file("own").write(b"x")
    found = {each["name"]: each["state"] for each in entries(folder, known)}
    assert found == {"absent": "absent", "begun": "in part", "by_hand": "unchecked", "own": "unchecked"}
    lines = listing(entries(folder, known)).splitlines()
    assert [line.split()[0] for line in lines] == ["name", "absent", "begun", "by_hand", "own"]
    assert all(line == line.rstrip() for line in lines)
