"""Tables of class frequencies: those in the package, reading and writing, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data_factories import CLASSES, make_spec, write_folder
from trainer.base.errors import DataError, SpecError
from trainer.data.folders import resolve_spec
from trainer.data.frequency_tables import (
    HEADER,
    FrequencyTable,
    TableError,
    packaged_names,
    packaged_table,
    parse_table,
    read_table,
    table_text,
    write_table,
)
from trainer.plan import make_plan
from trainer.results.metrics import imbalance_factor
from trainer.task import Task

HEAD = ",".join(HEADER)
GOOD = f"{HEAD}\n0,road,90,9\n1,tree,10,5\n2,car,0,0\n"
TABLE = FrequencyTable(CLASSES, (90, 10, 0), (9, 5, 0))


@pytest.mark.parametrize(
    ("name", "classes", "pixel", "region"),
    [
        ("ade20k", 150, 827, 282),
        ("cocostuff164k", 171, 2612, 528),
        ("cocostuff10k", 171, 4032, 714),
        ("cityscapes", 19, 373, 20),
    ],
)
def test_packaged_tables(name: str, classes: int, pixel: int, region: int) -> None:
    """The imbalance factors are those of arXiv 2204.01969, Fig. 5b, cut to integers, and of the source."""
    table = packaged_table(name)
    assert name in packaged_names()
    assert len(table.classes) == classes
    factors = [imbalance_factor(counts) for counts in (table.pixel, table.region)]
    assert [int(factor or 0) for factor in factors] == [pixel, region]


def test_names_are_mmsegs() -> None:
    """Classes stand in the order in which mmsegmentation trains them."""
    from mmseg.datasets import ADE20KDataset, CityscapesDataset, COCOStuffDataset

    for name, dataset in (
        ("ade20k", ADE20KDataset), ("cityscapes", CityscapesDataset),
        ("cocostuff10k", COCOStuffDataset), ("cocostuff164k", COCOStuffDataset),
    ):  # fmt: skip
        assert packaged_table(name).classes == tuple(one.strip() for one in dataset.METAINFO["classes"])


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


@given(st.lists(names, min_size=2, max_size=20, unique=True), st.data())
def test_written_tables_read_back(classes: list[str], data: st.DataObject) -> None:
    """Any names, commas and quotes included, and any counts survive CSV."""
    region = [data.draw(st.integers(1 if k == 0 else 0, 2**62)) for k in range(len(classes))]
    pixel = [n and n + data.draw(st.integers(0, 2**62 - 1)) for n in region]
    table = FrequencyTable(tuple(classes), tuple(pixel), tuple(region))
    assert parse_table(table_text(table), "t.csv", classes) == table


def test_files(tmp_path: Path) -> None:
    """A written file reads back; a byte order mark, CRLF, blanks and empty lines change nothing."""
    path = tmp_path / "new" / "t.csv"
    write_table(path, TABLE)
    assert read_table(path, CLASSES) == TABLE
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").replace("10,5", " 10 , 5\r\n").encode())
    assert read_table(path, CLASSES) == TABLE


def refused(text: str, classes: tuple[str, ...] | None = CLASSES) -> list[str]:
    with pytest.raises(TableError) as caught:
        parse_table(text, "t.csv", classes)
    return [str(problem) for problem in caught.value.problems]


COUNT = "an integer from 0 to 2^63 - 1"
ORDER = "allowed: 0, 1, 2, … in this order, one row for each class"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", f"t.csv, line 1: has the header 'nothing'; allowed: {HEAD}"),
        (GOOD.replace("class_name", "name"), "t.csv, line 1: has the header 'class_index,name,"),
        (GOOD[len(HEAD) + 1 :], "t.csv, line 1: has the header '0,road,90,9'"),
        (GOOD.replace("1,tree,10,5\n", ""), "t.csv: has 2 classes; absent: tree; allowed: the 3 classes"),
        (GOOD + "3,pole,1,1\n", "t.csv: has 4 classes; allowed: the 3 classes of the data set"),
        (GOOD.replace("1,tree", "1,bush"), "t.csv, line 3: class 1 is 'bush'; allowed: 'tree', as in"),
        (GOOD.replace("1,tree", "2,tree"), f"t.csv, line 3: class_index is '2' in the place of 1; {ORDER}"),
        (GOOD.replace("1,tree", "x,tree"), "t.csv, line 3: class_index is 'x' in the place of 1"),
        (GOOD.replace("1,tree", "1,"), "t.csv, line 3: class_name is empty"),
        (GOOD.replace("1,tree", "1,road"), "t.csv: has 'road' more than once"),
        (GOOD.replace("10,5", "-10,5"), f"t.csv, line 3: pixel_frequency is '-10'; allowed: {COUNT}"),
        (GOOD.replace("10,5", "10.5,5"), f"t.csv, line 3: pixel_frequency is '10.5'; allowed: {COUNT}"),
        (GOOD.replace("10,5", "10,nan"), f"t.csv, line 3: region_frequency is 'nan'; allowed: {COUNT}"),
        (GOOD.replace("10,5", "1e3,inf"), "t.csv, line 3: region_frequency is 'inf'"),
        (GOOD.replace("10,5", f"{2**63},5"), f"t.csv, line 3: pixel_frequency is '{2**63}'"),
        (GOOD.replace("10,5", "²,5"), "t.csv, line 3: pixel_frequency is '²'"),
        (GOOD.replace("10,5", "10,0"), "t.csv, line 3: 10 pixels in 0 pictures; allowed: at least one pixel"),
        (GOOD.replace("10,5", "0,5"), "t.csv, line 3: 0 pixels in 5 pictures"),
        (GOOD.replace("10,5", "4,5"), "t.csv, line 3: 4 pixels in 5 pictures"),
        (GOOD.replace("90,9", "0,0").replace("10,5", "0,0"), "t.csv: has no class that occurs"),
        (GOOD.replace("1,tree,10,5", "1,tree,10"), f"t.csv, line 3: has 3 cells; allowed: 4: {HEAD}"),
        (GOOD.replace("tree", '"tr"ee'), "t.csv, line 3: is no CSV"),
    ],
)  # fmt: skip
def test_bad_tables(text: str, told: str) -> None:
    """Each mistake is told with file, line, what was found and what is allowed."""
    assert any(line.startswith(told) for line in refused(text)), refused(text)


def test_all_mistakes_at_once() -> None:
    """A table with three mistakes is told of three; a hopeless one of the first ten, cells cut short."""
    assert len(refused(GOOD.replace("90,9", "-1,9").replace("1,tree", "7,bush"))) == 3
    many = refused(HEAD + "\n" + f"x,{'y' * 1000},z,\n" * 50)
    assert len(many) == 10
    assert max(map(len, many)) < 200


def test_without_classes_to_compare() -> None:
    """A table alone must have 2 to 255 classes, each name once."""
    assert parse_table(GOOD, "t.csv") == TABLE
    assert refused(f"{HEAD}\n0,road,1,1\n", None) == ["t.csv: has 1 classes; allowed: 2 to 255"]
    assert "'a' more than once" in refused(f"{HEAD}\n0,a,1,1\n1,a,1,1\n", None)[0]


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: GOOD + text))
def test_any_text_is_a_table_or_told(text: str) -> None:
    """Whatever stands in a file: a table of the data set's classes, or a TableError."""
    try:
        table = parse_table(text, "t.csv", CLASSES)
    except TableError:
        return
    assert table.classes == CLASSES


def problems(root: Path, table: str) -> list[tuple[str, str, str]]:
    spec = make_spec(
        dataset={"name": "folder", "root": str(root), "frequency_table": table},
        schedule={"crop_size": [32, 32]},
    )
    with pytest.raises(SpecError) as caught:
        resolve_spec(spec, data_roots=[root.parent])
    return [(one.pointer, one.got, one.allowed) for one in caught.value.problems]


def _outside(root: Path) -> str:
    (root.parent / "secret.csv").write_text(GOOD)
    return "../secret.csv"


def _linked(root: Path) -> str:
    _outside(root)
    (root / "link.csv").symlink_to("../secret.csv")
    return "link.csv"


def _absolute(root: Path) -> str:
    (root / "t.csv").write_text(GOOD)
    return str(root / "t.csv")


def _pipe(root: Path) -> str:
    os.mkfifo(root / "pipe.csv")
    return "pipe.csv"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_outside, "lies outside the data set's root"),
        (lambda _: "../missing.csv", "lies outside the data set's root"),
        (_linked, "lies outside the data set's root"),
        (_absolute, "is an absolute path"),
        (_pipe, "is not a file"),
        (lambda _: ".", "is not a file"),
        (lambda _: "missing.csv", "cannot be read (No such file or directory)"),
        (lambda _: "a\0b", "cannot be a path"),
        (lambda _: "a" * 300, "cannot be read (File name too long)"),
        (lambda _: "ade20k", "has 150 classes; absent: cart"),
    ],
)
def test_tables_a_spec_may_not_name(tmp_path: Path, make: Callable[[Path], str], words: str) -> None:
    """Told at /dataset/frequency_table: nothing outside the root, no pipe, no other classes."""
    root = write_folder(tmp_path / "mine", classes=("road", "tree", "cart"))
    pointer, got, allowed = problems(root, make(root))[0]
    assert pointer == "/dataset/frequency_table"
    assert words in got
    assert allowed


def test_a_table_takes_the_place_of_counting(tmp_path: Path) -> None:
    """The plan has the table's numbers and says so; masks are read all the same, as one cut short shows."""
    root = write_folder(tmp_path / "mine")
    (root / "tables").mkdir()
    (root / "tables" / "t.csv").write_text(GOOD)
    dataset = {"name": "folder", "root": str(root), "frequency_table": "tables/t.csv"}
    spec = resolve_spec(make_spec(dataset=dataset, schedule={"crop_size": [32, 32]}), data_roots=[tmp_path])
    task = Task(experiment="e", attempt=1, spec=spec, storage=str(tmp_path / "s"))
    plan = make_plan(task, print)
    assert (plan.frequencies.pixel, plan.frequencies.region) == (TABLE.pixel, TABLE.region)
    assert (plan.frequencies.images, plan.frequencies.source) == (2, "table tables/t.csv")
    mask = root / "annotations" / "train" / "p0.png"
    mask.write_bytes(mask.read_bytes()[:60])  # its header is whole
    with pytest.raises(DataError, match=r"1 mask cannot be read, first: p0\.png"):
        make_plan(task.model_copy(update={"attempt": 2}), print)
