"""`python -m trainer.weights`: what is printed, where files land, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.trainer.weights.file_server import FileServer, page, serving
from tests.unit.trainer.weights.files import published, saved
from trainer.base.ends import ExitCode
from trainer.spec.catalogue.weights_list import Published
from trainer.weights.__main__ import main

CONTENT = saved()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files["/tiny.pth"] = CONTENT
        yield server


@pytest.fixture
def names(server: FileServer) -> Published:
    return {"tiny": published(CONTENT, server.url("/tiny.pth"))}


def test_fetch_list_verify(names: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, on a data directory: progress on stderr, results on stdout."""
    where = ["--data-dir", str(tmp_path)]
    assert main(["fetch", "tiny", "tiny", *where], published=names) == ExitCode.DONE
    told = capsys.readouterr()
    assert told.out.startswith("tiny: lies in the storage (0.0 MB, SHA-256 ")
    assert told.out.count("\n") == 1
    assert "tiny.pth" in told.err
    assert (tmp_path / "storage" / "weights" / "tiny.pth").read_bytes() == CONTENT
    assert main(["list", *where], published=names) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["tiny", "here"]
    assert main(["verify", *where], published=names) == ExitCode.DONE
    assert capsys.readouterr().out == "tiny: is what it was\n"


def test_machine_readable(names: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document on stdout for each command."""
    (tmp_path / "own.pth").write_bytes(saved({"a": torch.ones(3)}))
    where = ["--storage", str(tmp_path), "--json"]
    found = []
    for words in (["list"], ["fetch", "tiny"], ["add", str(tmp_path / "own.pth")], ["list"], ["verify"]):
        assert main([*words, *where], published=names) == ExitCode.DONE
        found.append(json.loads(capsys.readouterr().out))
    assert [each["state"] for each in found[0]] == ["absent"]
    assert [each["name"] for each in found[1]] == ["tiny"]
    assert found[2]["name"] == "own"
    assert [(each["name"], each["state"]) for each in found[3]] == [("own", "here"), ("tiny", "here")]
    assert found[4] == [{"name": "own", "problem": None}, {"name": "tiny", "problem": None}]


def test_what_is_wrong(
    names: Published, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 for what a server or file did, 2 for bad input; a line on stderr, no traceback."""
    server.steps["/tiny.pth"] = [page]
    (tmp_path / "page.pth").write_bytes(b"<html>")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.pth").write_bytes(CONTENT)
    cases = [
        (["fetch", "tiny"], ExitCode.FAILED, "answered with a web page"),
        (["fetch", "resnet"], ExitCode.BAD_INPUT, "resnet: not published weights; allowed: tiny"),
        (["add", str(tmp_path / "page.pth")], ExitCode.BAD_INPUT, "is a page of text"),
        (["add", str(tmp_path / "no.pth")], ExitCode.BAD_INPUT, "does not exist"),
        (["verify", "../x"], ExitCode.BAD_INPUT, "../x: not in the storage; allowed: mine"),
        (["verify"], ExitCode.FAILED, ""),
    ]
    for words, code, text in cases:
        assert main([*words, "--storage", str(tmp_path)], published=names) == code
        told = capsys.readouterr().err
        assert text in told
        assert "Traceback" not in told


def test_a_storage_that_cannot_be_written(
    names: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the directory should be: one line that names it."""
    (tmp_path / "weights").write_text("")
    assert main(["fetch", "tiny", "--storage", str(tmp_path)], published=names) == ExitCode.FAILED
    assert str(tmp_path / "weights") in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["fetch"], ["add"], ["list", "--storage", "a", "--data-dir", "b"]])
def test_a_wrong_command_line(words: list[str]) -> None:
    """Exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == ExitCode.BAD_INPUT
