"""The packaged class lists of public data sets: names and colours in label order, as mmsegmentation has them.

Letters: K classes.
"""

from __future__ import annotations

import csv
from importlib import resources
from typing import NamedTuple

Colour = tuple[int, int, int]  # red, green, blue, each 0 to 255


class ClassList(NamedTuple):
    """(K,) names and their colours, line i = class i. Two classes may have one colour."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]


def class_list(name: str) -> ClassList:
    """The list `classes/NAME.csv` of this folder.

    Source: `METAINFO` of the data sets of onedl-mmsegmentation 1.4.2 (Apache-2.0), blanks at the ends of
    names cut off.
    """
    text = (resources.files("trainer.spec") / "classes" / f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    colours = ((int(row["red"]), int(row["green"]), int(row["blue"])) for row in rows)
    return ClassList(tuple(row["class_name"] for row in rows), tuple(colours))
