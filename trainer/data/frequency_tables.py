"""Class frequencies as CSV tables: those that come with the package, and a user's own.

A table has the header `class_index,class_name,pixel_frequency,region_frequency` and one row for each class,
in label order from 0. A count of 0 is a class that never occurs; `losses/class_counts.py` floors it.
Letters: K classes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from trainer.base.errors import DataError, Problem
from trainer.base.files import write_where_asked
from trainer.data.splits import is_inside, real_path
from trainer.spec.data.datasets import MAX_CLASSES, MIN_CLASSES

HEADER = ("class_index", "class_name", "pixel_frequency", "region_frequency")
# Pictures that a packaged table was counted on: the whole training set.
PACKAGED_IMAGES = {"ade20k": 20210, "cityscapes": 2975, "cocostuff10k": 9000, "cocostuff164k": 118_287}
_LARGEST_COUNT = 2**63 - 1  # of int64
_LONGEST_FILE = 1 << 20
_MOST_TOLD = 10
_LONGEST_SHOWN = 50
_COUNT = "an integer from 0 to 2^63 - 1"
_INDEX = "0, 1, 2, … in this order, one row for each class"


@dataclass(frozen=True)
class FrequencyTable:
    """(K,) names, pixels of the class, and pictures that contain it, in label order."""

    classes: tuple[str, ...]
    pixel: tuple[int, ...]
    region: tuple[int, ...]


class TableError(DataError):
    """A table cannot be used; each problem's `pointer` is the file and, where there is one, the line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[TableError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def packaged_names() -> tuple[str, ...]:
    """Names of the tables that come with the package; their source is in frequencies/README.md."""
    names = (entry.name for entry in (resources.files("trainer.data") / "frequencies").iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


def packaged_table(name: str, classes: Sequence[str] | None = None) -> FrequencyTable:
    """A packaged table, checked against `classes` if they are given.

    Raises:
        TableError: no table has this name, or it is of other classes.
    """
    if name not in packaged_names():
        raise _refused(name, "is not a packaged table", ", ".join(packaged_names()))
    text = (resources.files("trainer.data") / "frequencies" / f"{name}.csv").read_text(encoding="utf-8")
    return parse_table(text, f"packaged table {name}", classes)


def find_table(name: str, root: Path, classes: Sequence[str] | None) -> FrequencyTable:
    """The table that a data set's `frequency_table` means: a packaged name first, else a CSV below `root`.

    Args:
        root: the data set's directory; the file must lie in it, symbolic links followed.

    Raises:
        TableError: there is no such table, it lies elsewhere, or it does not fit `classes`.
    """
    if name in packaged_names():
        return packaged_table(name, classes)
    allowed = f"{', '.join(packaged_names())}, or the relative path of a CSV file below the data set's root"
    try:
        path = real_path(root / name)
    except ValueError:  # a NUL or a lone surrogate
        raise _refused(repr(name), "cannot be a path", allowed) from None
    if Path(name).is_absolute():
        raise _refused(repr(name), "is an absolute path", allowed)
    if not is_inside(path, (real_path(root),)):
        raise _refused(repr(name), "lies outside the data set's root", allowed)
    return read_table(path, classes, shown=repr(name))


def read_table(
    path: Path, classes: Sequence[str] | None = None, *, shown: str | None = None
) -> FrequencyTable:
    """A table from a file, checked against `classes` if they are given.

    Args:
        shown: what errors call the file; by default its path.

    Raises:
        TableError: with every problem found (of very many the first ones).
    """
    where, allowed = shown or str(path), "a CSV file in UTF-8, up to 1 MiB"
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise _refused(where, "is not a file", allowed)
        with path.open("rb") as stream:
            content = stream.read(_LONGEST_FILE + 1)
        if len(content) > _LONGEST_FILE:
            raise _refused(where, "is too large", allowed)
        return parse_table(content.decode("utf-8-sig"), where, classes)
    except OSError as error:
        raise _refused(where, f"cannot be read ({error.strerror})", allowed) from None
    except UnicodeDecodeError as error:
        raise _refused(where, f"is not UTF-8 at byte {error.start}", allowed) from None


def parse_table(text: str, where: str, classes: Sequence[str] | None = None) -> FrequencyTable:
    """A table from its text; `where` is what errors call it.

    Raises:
        TableError: with every problem found (of very many the first ones).
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise _refused(f"{where}, line {reader.line_num}", f"is no CSV ({error})", ",".join(HEADER)) from None
    if not rows or tuple(rows[0][1]) != HEADER:
        got = ",".join(rows[0][1])[:100] if rows else "nothing"
        raise _refused(f"{where}, line 1", f"has the header {got!r}", ",".join(HEADER))
    problems = [Problem(where, got, allowed) for got, allowed in _table_problems(rows[1:], classes)]
    # In a table with too many or too few rows all names behind the gap would be wrong.
    names = classes if classes is not None and len(classes) == len(rows) - 1 else None
    problems += [
        Problem(f"{where}, line {line}", got, allowed)
        for k, (line, row) in enumerate(rows[1:])
        for got, allowed in _row_problems(k, row, names)
    ]
    if problems:
        raise TableError(tuple(problems[:_MOST_TOLD]))
    cells = [row for _, row in rows[1:]]
    return FrequencyTable(
        classes=tuple(row[1].strip() for row in cells),
        pixel=tuple(int(row[2]) for row in cells),
        region=tuple(int(row[3]) for row in cells),
    )


def table_text(table: FrequencyTable) -> str:
    """The table as CSV, which `parse_table` reads back as it was."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    rows = zip(table.classes, table.pixel, table.region, strict=True)
    writer.writerows((k, *row) for k, row in enumerate(rows))
    return stream.getvalue()


def write_table(path: Path, table: FrequencyTable) -> None:
    """Writes the table as a whole, or not at all."""
    write_where_asked(path, table_text(table))


def _row_problems(k: int, row: list[str], classes: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """(what was wrong, what is allowed) of the row of class k."""
    if len(row) != len(HEADER):
        yield f"has {len(row)} {'cell' if len(row) == 1 else 'cells'}", f"{len(HEADER)}: {','.join(HEADER)}"
        return
    index, name = row[0].strip(), row[1].strip()
    if index != str(k):
        yield f"class_index is {_short(index)} in the place of {k}", _INDEX
    if not name:
        yield "class_name is empty", "a name that no other class has"
    elif classes is not None and name != classes[k]:
        yield f"class {k} is {_short(name)}", f"{classes[k]!r}, as in the data set"
    counts = [_count(text) for text in row[2:]]
    for field, text, count in zip(HEADER[2:], row[2:], counts, strict=True):
        if count is None:
            yield f"{field} is {_short(text)}", _COUNT
    pixels, regions = counts
    if pixels is None or regions is None:
        return
    if pixels < regions or bool(pixels) != bool(regions):
        allowed = "at least one pixel for each picture of region_frequency, and 0 of both or of neither"
        yield f"{pixels} pixels in {regions} pictures", allowed


def _short(text: str) -> str:
    """A cell as a message shows it."""
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def _count(text: str) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST_COUNT))):
        return None
    return int(text) if int(text) <= _LARGEST_COUNT else None


def _table_problems(
    rows: Sequence[tuple[int, list[str]]], classes: Sequence[str] | None
) -> Iterator[tuple[str, str]]:
    """(what was wrong, what is allowed) of the table as a whole."""
    whole = [row for _, row in rows if len(row) == len(HEADER)]
    names = [row[1].strip() for row in whole]
    if classes is not None and len(rows) != len(classes):
        absent = [name for name in classes if name not in names]
        more = f"; absent: {', '.join(absent[:3])}{', …' if len(absent) > 3 else ''}" if absent else ""
        yield f"has {len(rows)} classes{more}", f"the {len(classes)} classes of the data set"
    elif not MIN_CLASSES <= len(rows) <= MAX_CLASSES:
        yield f"has {len(rows)} classes", f"{MIN_CLASSES} to {MAX_CLASSES}"
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        yield f"has {', '.join(map(_short, twice[:3]))} more than once", "each class_name once"
    counts = [_count(row[2]) for row in whole]
    if counts and all(count == 0 for count in counts):
        yield "has no class that occurs", "at least one pixel_frequency above 0"


def _refused(where: str, got: str, allowed: str) -> TableError:
    return TableError((Problem(where, got, allowed),))
