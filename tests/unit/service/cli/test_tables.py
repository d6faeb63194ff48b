"""Tables of a comparison, as a terminal of 100 columns shows them."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from service.cli.tables.comparisons import classes_table, correlation_table, pictures_table, remark_tables
from tests.data_factories import make_report, scores_of
from trainer.results.compare import compare
from trainer.results.scores import BY_PICTURE

NAMES = ["Pavement", "SignSymbol", "Bicyclist"]
MILLION = 1_000_000


def compared() -> dict[str, Any]:
    """A reference, one that gains in the tail, one with other labels for the last class."""
    before = scores_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]], names=NAMES, pixels=[9 * MILLION, MILLION, 5])
    after = scores_of([[9, 1, 0], [1, 4, 1], [0, 1, 3]], names=NAMES, pixels=[9 * MILLION, MILLION, 5])
    other = scores_of([[9, 1, 0], [1, 4, 1], [0, 0, 0]], names=NAMES, pixels=[9 * MILLION, MILLION, 5])
    method = {"kind": "region_rebalance", "lambda": 0.1}
    reports = [
        make_report("0123456789ab", scores=before),
        make_report("123456789abc", scores=after, method=method),
        make_report("23456789abcd", scores=other, method={"kind": "balanced_softmax", "prior": "region"}),
    ]
    document: dict[str, Any] = json.loads(compare(reports).model_dump_json())
    return document


def printed_rows(*tables: Table) -> list[str]:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(*tables)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_remark_1_is_legible() -> None:
    """Against the first, class by class: whether Acc rose, Remark 1 held and IoU rose; and how often."""
    first, second = (printed_rows(table) for table in remark_tables(compared()))
    assert first[0] == "123456789abc region_rebalance (lambda=0.1) against 0123456789ab baseline"
    cells = {words[0]: words[1:] for words in map(str.split, first) if words and words[0] in NAMES}
    assert cells["Pavement"] == ["rose", "+12.5", "%", "-1", "<", "1", "held", "rose"]
    assert cells["SignSymbol"] == ["–", "-20.0", "%", "0", "≥", "-1", "–", "–"]
    assert cells["Bicyclist"] == ["rose", "+50.0", "%", "1", "<", "2", "held", "rose"]
    assert first[-1] == "Acc rose in 2 of 3 classes, Remark 1 held for 2 of them; IoU rose in 2"
    assert not any(name in line for line in second for name in NAMES)
    assert second[-1] == "Remark 1: not on the same labels"


def test_classes_are_not_cut_short() -> None:
    """Names, groups and counts are whole in 100 columns, with methods of long names beside them."""
    text = "\n".join(printed_rows(classes_table(compared()), correlation_table(compared())))
    for word in (*NAMES, "head", "body", "tail", "9,000,000", "1,000,000", "pictures", "baseline"):
        assert word in text
    assert "…" not in text


def test_scores_of_single_pictures() -> None:
    """A line for each experiment, whole in 100 columns; dashes where an older release has measured."""
    document = compared()
    scores = (*BY_PICTURE, "region_frequency_groups")
    document["rows"][1] |= dict.fromkeys(scores)
    lines = printed_rows(pictures_table(document))
    assert not any("…" in line for line in lines)
    starts = tuple(row["experiment"] for row in document["rows"])
    first, second, _ = (line for line in lines if line.lstrip().startswith(starts))
    expected = [document["rows"][0][name] for name in BY_PICTURE]
    expected += document["rows"][0]["region_frequency_groups"].values()
    assert first.split()[-7:] == [f"{value:.2f}" for value in expected]
    assert second.split()[-7:] == ["–"] * 7
