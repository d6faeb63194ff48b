"""A table as text: the same numbers in every format, and names that stay names."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sweeps.results.formats import FORMATS, MOST_BY_CLASS, to_csv, to_latex, to_markdown
from sweeps.results.table import Entry, Table, make_table
from tests.data_factories import make_report, scores_of
from trainer.results.report import AttemptReport

TEXTS = ("markdown", "latex")


def report(tp: int, **about: Any) -> AttemptReport:
    """Two classes; class 0 has IoU tp %, class 1 has 0."""
    return make_report("e", scores=scores_of([[tp, 100 - tp], [0, 0]], pixels=[9, 1], **about))


def table(**fields: Any) -> Table:
    entries = [Entry("base", seed, report(tp)) for seed, tp in ((0, 40), (1, 50), (2, 60))]
    entries += [Entry("rr_x", seed, report(tp)) for seed, tp in ((2, 66), (0, 43))]
    entries += [Entry("rr_x", 1, None), Entry("stopped", 0, report(90), stopped=True)]
    return make_table("t", entries, **fields)


def named(*rows: str, name: str = "t", **about: Any) -> Table:
    """A row with one seed for each name."""
    return make_table(name, [Entry(row, 0, report(50 + k, **about)) for k, row in enumerate(rows)])


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def cells_of(markdown: str) -> list[list[str]]:
    """What a reader sees in the rows of all tables and lists; markup that took effect is refused."""
    found: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table"]).parse(markdown):
        if token.type in ("tr_open", "list_item_open"):
            found.append([])
        if token.type == "inline":
            assert {child.type for child in token.children or ()} <= {"text", "text_special"}
            if found:
                found[-1].append("".join(child.content for child in token.children or ()))
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_finished_yet(form: str) -> None:
    """Every format has a table before any trial has ended."""
    assert "a" in FORMATS[form](make_table("t", [Entry("a", 0, None)]))


def test_markdown() -> None:
    """One line a row, the reference named, empty cells where there is no number."""
    text = to_markdown(table(published={"single_scale": {"base": 43.95}}))
    assert (
        "| base | 25.00 ± 5.00 | 50.00 ± 10.00 | 50.00 ± 10.00 | 0.00 ± 0.00 |  |  |  | 3 | 43.95 |" in text
    )
    assert "against base" in text
    assert "| stopped |  |  |  |  |  |  |  | 0 |  |" in text
    assert "| class 0 | head | 50.00 | 54.50 (+4.50) |  |" in text
    assert "| class 1 | body | 0.00 | 0.00 (+0.00) |  |" in text


def test_csv() -> None:
    """CSV keeps every digit and reads back as one table, its classes and what a reader must know included."""
    text = to_csv(table(published={"single_scale": {"base": 43.95}}, notes=["paper: Table 1"]))
    rows = lines_of(text)
    assert [row["row"] for row in rows] == ["base", "rr_x", "stopped"]
    assert (float(rows[0]["mIoU"]), float(rows[0]["mIoU_std"])) == (25.0, 5.0)
    assert rows[1]["seeds"] == "0 2"
    assert (rows[1]["iou/class 0"], rows[1]["delta_iou/class 0"]) == ("54.5", "4.5")
    assert (rows[2]["iou/class 0"], rows[2]["delta_iou/class 0"]) == ("", "")
    assert (rows[1]["metric"], rows[1]["reference"]) == ("mIoU", "base")
    assert [(row["unfinished"], row["stopped"]) for row in rows] == [("0", "0"), ("1", "0"), ("0", "1")]
    assert rows[0]["published"] == "43.95"
    assert rows[0]["notes"].startswith("paper: Table 1; trials without a result")
    assert len({len(line) for line in csv.reader(io.StringIO(text))}) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r@"])
def test_csv_has_no_formulas(start: str) -> None:
    """A spreadsheet would run what begins like one; numbers below zero stay numbers."""
    rows = lines_of(to_csv(named(f"{start}1+1", "b")))
    assert rows[0]["row"] == rows[1]["reference"] == f"'{start.strip()}1+1"
    assert (rows[1]["row"], rows[1]["delta"]) == ("b", "0.5")
    worse = make_table("t", [Entry("a", 0, report(50)), Entry("b", 0, report(48))])
    assert lines_of(to_csv(worse))[1]["delta"] == "-1.0"


def test_latex() -> None:
    """Booktabs rules, special characters escaped, as many columns as titles; classes in a second table."""
    text = to_latex(table())
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert r"rr\_x & $27.25 \pm 8.13$" in text
    assert r"class 0 & head & $50.00$ & $54.50 (+4.50)$ &  \\" in text
    begins = [line for line in text.splitlines() if line.startswith(r"\begin")]
    titles = [line for line in text.splitlines() if "mIoU &" in line or line.startswith("class &")]
    for begin, title in zip(begins, titles, strict=True):
        columns = re.search(r"\{([lr]+)\}", begin)
        assert columns
        assert len(columns[1]) == title.count("&") + 1


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("λ = 0.3", r"$\lambda$ = 0.3"),
        ("ΔΩς ΑΟο", r"$\Delta$$\Omega$$\sigma$ AOo"),
        ("1 ± 2 ≤ µ", r"1 $\pm$ 2 $\le$ $\mu$"),
        ("a<b|c", "a$<$b$|$c"),
        ("50%_#", r"50\%\_\#"),
        ("[x]", "{}[x]"),  # after the end of a row it would be a length
        ("*x", "{}*x"),
        ("a\n\\b\x07", r"a \textbackslash{}b"),
    ],
)
def test_latex_names(name: str, escaped: str) -> None:
    """What pdfLaTeX cannot print, or takes for a command, is written out."""
    assert any(line.startswith(f"{escaped} & $") for line in to_latex(named("a", name)).splitlines())


def test_all_greek_has_a_command() -> None:
    """No letter of the alphabet is left for pdfLaTeX to refuse."""
    alphabet = "αβγδεζηθικλμνξοπρςστυφχψω"
    text = to_latex(named(alphabet + alphabet.upper()))
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert not re.search(r"[\u0370-\u03FF]", "\n".join(lines))


@pytest.mark.parametrize("form", [*TEXTS, "csv"])
def test_line_breaks_in_names_break_no_line(form: str) -> None:
    """Neither a row nor a comment nor a note."""
    plain = FORMATS[form](named("a", "b c", name="t", names=["k 0", "k 1"]))
    broken = FORMATS[form](named("a", "b\n\u2028c", name="t", names=["k\r0", "k\x0b1"]))
    assert broken == plain
    noted = make_table("t", [Entry("a", 0, None)], notes=["one\n\\end{x}\n# two"])
    assert not re.search(r"^(\\end\{x|# two)", FORMATS[form](noted), re.MULTILINE)


def test_emphasis_needs_no_pair() -> None:
    """The asterisk of the paper's method is seen, and two rows of it emphasise nothing between them."""
    rows = cells_of(
        to_markdown(named("balanced softmax*", "_a_ `b` <i>c</i>", "x|y\\", "[a](b) &lt; head_mIoU"))
    )
    names = [row[0] for row in rows[1:5]]
    assert names == ["balanced softmax*", "_a_ `b` <i>c</i>", "x|y\\", "[a](b) &lt; head_mIoU"]
    assert "head_mIoU" in to_markdown(named("head_mIoU"))


@given(st.text(min_size=1, max_size=20))
def test_markdown_shows_names_as_they_are(name: str) -> None:
    """Any name, but for white space and what cannot be seen: in its row, in its column, and in notes."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    made = make_table(name, [Entry("first", 0, report(50)), Entry(name, 0, report(50)), Entry(name, 1, None)])
    rows = cells_of(to_markdown(made))
    if name != "first":
        assert rows[2][0] == plain
    assert rows[-2][0] == " ".join(f"trials without a result, not in the numbers: {plain} 1".split())


@pytest.mark.parametrize("form", TEXTS)
def test_the_metric_is_always_a_column(form: str) -> None:
    """aAcc is none of the usual columns: it comes first where rows are ranked by it, and only there."""
    text = FORMATS[form](table(metric="aAcc"))
    titles = next(line for line in text.splitlines() if "mIoU" in line)
    assert titles.index(" aAcc ") < titles.index("mIoU")
    assert "50.00" in text
    assert "aAcc" not in FORMATS[form](table())


def test_many_rows() -> None:
    """Text has no column for each of them: it says where the classes are, and there they are."""
    few = named(*(f"r{row}" for row in range(MOST_BY_CLASS)))
    many = named(*(f"r{row}" for row in range(MOST_BY_CLASS + 1)))
    for form in TEXTS:
        assert "class 0" in FORMATS[form](few)
        assert "class 0" not in FORMATS[form](many)
        assert "IoU and ΔIoU by class of 13 rows: in this table as CSV or JSON" in FORMATS[form](many)
    assert float(lines_of(to_csv(many))[-1]["delta_iou/class 0"]) == MOST_BY_CLASS
    assert len(json.loads(FORMATS["json"](many))["blocks"][0]["classes"][0]["iou"]) == MOST_BY_CLASS + 1
