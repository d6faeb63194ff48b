"""`python -m trainer.count` in this process: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.cli.main import build_parser
from tests.data_factories import CLASSES, write_folder
from trainer.count import main
from trainer.data.frequency_tables import FrequencyTable, packaged_table, read_table
from trainer.data.frequency_view import document, summary, terminal_table
from trainer.figures.frequency_figure import write_frequency_figure

MASKS = [np.array([[0, 0, 0, 1], [0, 255, 1, 0]]), np.array([[0, 0, 0, 0], [0, 0, 0, 0]])]
NO_CAR = (
    "class 2 'car' has no pixel in split 'train'; "
    'hint: "label_map" in /dataset, if masks hold it under another id,'
    " perhaps 255, which is void without it (6.2 % of the pixels)"
)
TABLE = FrequencyTable(CLASSES, (13, 2, 0), (2, 1, 0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data", {"train": MASKS, "other": MASKS[:1]})


def run(tmp_path: Path, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--data-dir", str(tmp_path / "kept")])


def test_table_and_factors(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes by falling pixel frequency with shares and groups, then both factors; no bar in a pipe."""
    assert run(tmp_path, root) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[1:4] == [
        ["0", "road", "13", "86.667", "2", "66.667", "head"],
        ["1", "tree", "2", "13.333", "1", "33.333", "body"],
        ["2", "car", "0", "0.000", "0", "0.000", "tail"],
    ]
    assert said.out.splitlines()[4:] == [
        f"{root}, train: 2 pictures",
        "pixel imbalance factor 6.50: road 13 / tree 2",
        "region imbalance factor 2.00: road 2 / tree 1",
        "1 of 3 classes never occur",
        f"notice: {NO_CAR}",
    ]
    assert said.err == ""


def test_json(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document: what was counted, the factors, a row for each class in label order."""
    assert run(tmp_path, root, "--split", "other", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    classes = found.pop("classes")
    assert [each["code"] for each in found.pop("notices")] == ["absent_class"]
    assert found == {
        "dataset": str(root), "split": "other", "images": 1,
        "pixel_imbalance_factor": 2.5, "region_imbalance_factor": 1.0,
    }  # fmt: skip
    assert [tuple(row.values()) for row in classes] == [
        (0, "road", 5, 1, "head"), (1, "tree", 2, 1, "body"), (2, "car", 0, 0, "tail"),
    ]  # fmt: skip


@pytest.mark.slow
def test_files_are_written(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--write is a table that --table shows again, with the same numbers; --figure a picture."""
    table, figure = tmp_path / "out" / "t.csv", tmp_path / "out" / "f.png"
    assert run(tmp_path, root, "--write", table, "--figure", figure, "--json") == 0
    counted = json.loads(capsys.readouterr().out)
    assert read_table(table) == TABLE
    width, height = struct.unpack(">II", figure.read_bytes()[16:24])
    assert width > 1500 > height > 400
    assert main([str(table), "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == counted["classes"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_figures_are_reproducible(tmp_path: Path, suffix: str) -> None:
    """The same table gives the same bytes; names with TeX's and XML's signs are only text."""
    table = FrequencyTable(("a $x", "<b> & \\", "c_$y$"), (900, 10, 0), (9, 3, 0))
    paths = [tmp_path / f"{number}{suffix}" for number in (1, 2)]
    for path in paths:
        write_frequency_figure(path, table, title=r"$title_ <1> \frac$")
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    if suffix == ".svg":
        text = first.decode()
        assert "PIF 90.0" in text
        assert "&lt;b&gt; &amp; \\" in text


@pytest.mark.slow
def test_a_figure_of_many_classes(tmp_path: Path) -> None:
    """150 classes have bars without names."""
    path = tmp_path / "f.svg"
    write_frequency_figure(path, packaged_table("ade20k"), title="ade20k")
    text = path.read_text()
    assert "150 classes, most frequent first" in text
    assert "escalator" not in text


def test_packaged_tables_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A packaged table is shown without any data."""
    assert main(["ade20k", "--table"]) == 0
    out = capsys.readouterr().out
    assert "pixel imbalance factor 827.46: wall 737,138,625 / flag 890,841" in out
    assert "region imbalance factor 282.63: wall 11,588 / escalator 41" in out


def test_names_are_shown_as_they_are() -> None:
    """A class name that looks like markup stays text."""
    table = FrequencyTable(("[red]", "[/]"), (2, 1), (2, 1))
    assert [str(cell) for cell in terminal_table(table).columns[1].cells] == ["[red]", "[/]"]
    assert summary(table)[0] == "pixel imbalance factor 2.00: [red] 2 / [/] 1"
    assert document(table, {})["classes"][1]["class_name"] == "[/]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/such/place"], "'/no/such/place' is neither a data set nor a directory; allowed: digit_scenes"),
        (["ade20k"], "ade20k: say where it lies: --root DIR"),
        (["folder", "--root", "/no/such"], "/no/such: classes.txt cannot be read: No such file"),
        (["digit_scenes", "--root", "."], "digit_scenes is built in"),
        (["mine", "--root", "."], "'mine' is not a data set that takes --root"),
        (["nothing", "--table"], "nothing: cannot be read (No such file or directory)"),
        (["ade20k", "--table", "--root", "."], "--root: not with --table"),
        (["camvid", "--root", "{root}"], "is not that of camvid: Sky, Building"),
        (["{root}", "--split", "third"], "split 'third': No such file or directory"),
        (["{root}", "--ray", "127.0.0.1:1", "--processes", "2"], "--processes: not with a cluster"),
    ],
)
def test_bad_input(root: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line that says what is wrong, on stderr."""
    assert main([argument.format(root=root) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["x", "--figure", "f.jpg"], ["x", "--processes", "0"], []])
def test_flags_out_of_range(arguments: list[str]) -> None:
    """The parser refuses what can never be right with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_bad_masks(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, both kinds of fault in one message, no file written, nothing kept."""
    masks = root / "annotations" / "train"
    (masks / "p0.png").write_bytes(b"")
    (masks / "p1.png").write_bytes((root / "annotations" / "other" / "p0.png").read_bytes())
    (root / "classes.txt").write_text("road\nsky\n")
    table = tmp_path / "t.csv"
    assert run(tmp_path, root, "--write", table) == 2
    assert "p0.png: is not PNG" in capsys.readouterr().err
    (masks / "p1.png").write_bytes(b"\x89PNG")
    assert run(tmp_path, root, "--write", table) == 2
    assert "2 masks cannot be read" in capsys.readouterr().err
    assert not table.exists()
    assert not list((tmp_path / "kept").rglob("*.json"))


def test_a_file_that_cannot_be_written(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the file's name, no traceback."""
    assert run(tmp_path, root, "--write", root) == 1
    assert str(root) in capsys.readouterr().err


def test_counted_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time nothing is counted, in this process or in others, and no Ray is asked for."""
    assert run(tmp_path, root) == 0
    first = capsys.readouterr().out

    def never(*_: Any) -> None:
        pytest.fail("counted twice")

    monkeypatch.setattr("trainer.data.frequency.count_locally", never)
    monkeypatch.setattr("trainer.count.count_with_ray", never)
    monkeypatch.setattr("trainer.count._ray", never)
    assert run(tmp_path, root) == 0
    assert run(tmp_path, root, "--ray") == 0
    assert capsys.readouterr().out == first * 2


def test_rebalance_takes_the_same_flags() -> None:
    """`rebalance frequencies` parses what `python -m trainer.count` parses."""
    words = ["frequencies", "camvid", "--root", "d", "--split", "val", "--ray", "--json", "--figure", "f.svg"]
    args = build_parser().parse_args(words)
    assert (args.dataset, args.root, args.ray, args.figure) == ("camvid", Path("d"), "local", Path("f.svg"))
