"""Any text can be shown and kept: names of files, messages of errors, classes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.base.text import first_names, hidden_letter, printable, printable_lines, storable
from trainer.results.report import AttemptError
from trainer.storage.sink import whole_record

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates, too


@given(ANY)
def test_storable(text: str) -> None:
    """UTF-8 takes it, and no database stumbles over a NUL; what was fit stays as it is."""
    kept = storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert storable(kept) == kept
    assert kept == text or not text.isprintable()


@given(ANY)
def test_printable(text: str) -> None:
    """Nothing hidden is left, and the ends of lines only where they may stay."""
    assert hidden_letter(printable(text)) is None
    assert all(hidden_letter(line) is None for line in printable_lines(text).split("\n"))
    assert len(printable_lines(text).split("\n")) == max(1, len(text.splitlines()))


def test_escapes() -> None:
    """As JSON and Python write them."""
    assert (
        printable("stra\udcdfe\n\u202e\U000e0001Größe 木") == "stra\\udcdfe\\u000a\\u202e\\U000e0001Größe 木"
    )
    assert storable("a\0b\udcff\n\x1b") == "a\\u0000b\\udcff\n\x1b"


@given(ANY)
def test_every_message_can_be_reported(text: str) -> None:
    """Also one that names a file whose name is no UTF-8."""
    error = AttemptError(type="DataError", message=text)
    assert AttemptError.model_validate_json(error.model_dump_json()) == error


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a": NaN, "b": 1e999, "c": 1}\n', {"a": None, "b": None, "c": 1}),
        (b'{"a": "\\ud800", "b": "\xff"}\n', {"a": "?", "b": "\ufffd"}),
        (b'{"a": "\\ud83d\\ude00"}\n', {"a": "\U0001f600"}),
        (b'{"a": ' + b"9" * 5000 + b"}\n", None),
        (b"[" * 100_000 + b"\n", None),
        (b'{"a": 1}', None),
    ],
)
def test_lines_of_curves(line: bytes, record: object) -> None:
    """Whatever stands in metrics.jsonl, what is read of it can be answered as JSON."""
    assert whole_record(line) == record


@pytest.mark.slow
@pytest.mark.parametrize("module", ["service.cli", "trainer.count", "trainer.job", "sweeps.job"])
def test_programs_print_to_any_terminal(module: str) -> None:
    """An argument that is no UTF-8, a terminal that knows ASCII alone: one line, no traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for words in (["--help"], [b"--\xffstra\xdfe\xe2\x80\xae"]):
        ended = subprocess.run(
            [sys.executable, "-m", module, *words], env=environment, capture_output=True, check=False
        )
        assert b"Traceback" not in ended.stderr
        assert ended.returncode == (0 if words == ["--help"] else 2)


def test_first_names() -> None:
    """All of a few; of many the first ones, with how many more there are."""
    assert first_names([]) == ""
    assert first_names(["a", "b"], "rows", most=2) == "a, b"
    assert first_names(["a"] * 2002, "rows", most=2) == "a, a and 2,000 more rows"
    assert first_names([*"abc"], most=2) == "a, b and 1 more"
