"""Class names that mean something to Markdown, LaTeX, CSV or a terminal are shown and obeyed nowhere."""

from __future__ import annotations

import argparse
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from service.cli.experiments import compare as compare_command
from service.cli.tables.comparisons import classes_table, remark_tables
from service.cli.tables.experiments import print_experiment
from service.cli.tables.sweeps import print_results
from service.client.client import RebalanceClient
from service.shared.schemas import ExperimentPublic, Links, NoticePublic
from service.shared.states import State
from sweeps.results.formats import to_csv, to_latex, to_markdown
from sweeps.results.table import Entry, make_table
from tests.data_factories import make_report, scores_of, write_folder
from trainer.count import main
from trainer.data.frequency_tables import FrequencyTable
from trainer.figures.frequency_figure import write_frequency_figure
from trainer.results.compare import compare
from trainer.results.report import AttemptReport
from trainer.storage.notices import Notice

ODD = (
    "Sky|air", "Building_50%", "=Pole", "Road & rail", "Pavement, wet", "Tree\t(deciduous)",
    "[bold]Sign[/bold]", "Fence\x1b[31m", "<script>alert(1)</script>", "nan", "mIoU",
    "\u202eright to left", "bell\x07",
)  # fmt: skip
SEEN = (
    "Sky|air", "Building_50%", "=Pole", "Road & rail", "Pavement, wet", "(deciduous)", "[bold]Sign[/bold]",
    r"Fence\u001b[31m", "<script>alert(1)</script>", "nan", "mIoU", r"\u202eright to left", r"bell\u0007",
)  # fmt: skip
SAID = Notice(code="n", text="Fence\x1b[31m has none", hint="[bold]look[/bold]")


def report(experiment: str, **changes: Any) -> AttemptReport:
    matrix = [[10 if k == j else 1 for k in range(len(ODD))] for j in range(len(ODD))]
    scores = scores_of(matrix, names=ODD)
    return make_report(experiment, scores=scores, **changes).model_copy(update={"notices": (SAID,)})


REPORTS = [report("e1"), report("e2", method="region_rebalance")]


def printed_text(*printed: Any) -> str:
    """What a terminal of 200 columns would get, without colours of our own."""
    console = Console(width=200, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(*printed)
    return cast(io.StringIO, console.file).getvalue()


def test_a_comparison_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Every name is readable in the tables of classes and of Remark 1; no control character gets through."""
    document = json.loads(compare(REPORTS).model_dump_json())
    tables = (classes_table(document), *remark_tables(document))
    for table in tables:
        text = printed_text(table)
        assert [name for name in SEEN if name not in text] == []
        assert all(letter.isprintable() or letter == "\n" for letter in text)

    class Client:
        def comparison_document(self, *_: object) -> Any:
            return document

    args = argparse.Namespace(id=["e1", "e2"], json=False, classes=True, mode=None, scores=None)
    assert compare_command(args, cast(RebalanceClient, Client())) == 0
    printed = capsys.readouterr().out
    assert r"note: Fence\u001b[31m has none; hint: [bold]look[/bold]" in printed
    assert "\x1b" not in printed


def test_an_experiment_in_a_terminal() -> None:
    """Notices and events are text, whatever names they hold; a label map is shown whole."""
    links = Links(self="", events="", logs="", metrics="", report="/r", cancel="")
    now = datetime(2026, 1, 2, tzinfo=UTC)
    dataset = {"name": "folder", "label_map": {"0": None, "255": 1}}
    experiment = ExperimentPublic(
        id="e1", name="odd", state=State.COMPLETED, attempt=1, spec={"dataset": dataset}, created_at=now,
        updated_at=now, notices=(NoticePublic(**SAID.model_dump()),), links=links,
    )  # fmt: skip
    console = Console(width=200, file=io.StringIO(), force_terminal=True, color_system=None)
    print_experiment(console, experiment, "http://127.0.0.1")
    text = cast(io.StringIO, console.file).getvalue()
    assert r"Fence\u001b[31m has none; hint: [bold]look[/bold]" in text
    assert 'label_map {"0": null, "255": 1}' in text
    assert "\x1b[31m" not in text


def test_a_sweeps_table_in_every_format() -> None:
    """As many cells as columns, no formula, no TeX that acts, nothing for a terminal."""
    table = make_table("odd", [Entry("a", 0, REPORTS[0]), Entry("b", 0, REPORTS[1])])
    markdown = to_markdown(table)
    tokens = MarkdownIt("commonmark").enable(["table"]).parse(markdown)
    cells = [token.content for token in tokens if token.type == "inline"]
    assert {child.type for token in tokens for child in token.children or ()} <= {"text", "text_special"}
    assert sum(cell.startswith("Sky") for cell in cells) == 1
    header, *rows = csv.reader(io.StringIO(to_csv(table), newline=""))
    assert {len(row) for row in rows} == {len(header)}
    assert "iou/Pavement, wet" in header
    assert not [cell for cell in header + rows[0] if cell.startswith(("=", "@"))]
    latex = to_latex(table)
    for written in (
        r"Sky$|$air",
        r"Building\_50\%",
        r"Road \& rail",
        r"{}[bold]Sign[/bold]",
        r"$<$script$>$",
    ):
        assert written in latex
    for text in (markdown, to_csv(table), latex):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    console = Console(width=250, file=io.StringIO(), force_terminal=True, color_system=None)
    print_results(console, table, classes=True)
    printed = cast(io.StringIO, console.file).getvalue()
    assert [name for name in SEEN if name not in printed] == []


@pytest.mark.slow
def test_frequencies_and_their_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table, its summary and the figure have every name; a figure stays XML."""
    from xml.etree import ElementTree

    root = write_folder(tmp_path / "d", classes=ODD)
    assert main([str(root), "--data-dir", str(tmp_path / "kept")]) == 0
    printed = capsys.readouterr().out
    assert [name for name in SEEN if name not in printed] == []
    assert all(letter.isprintable() or letter == "\n" for letter in printed)
    count = tuple(100 - k for k in range(len(ODD)))
    write_frequency_figure(tmp_path / "f.svg", FrequencyTable(ODD, count, count), title="odd\x1b[31m")
    assert ElementTree.parse(tmp_path / "f.svg").getroot().tag.endswith("svg")
