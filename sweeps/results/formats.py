"""A table as text: Markdown, CSV and LaTeX (booktabs). Percent with two decimals, as papers print it."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence

from sweeps.results.table import Block, Cell, Table
from trainer.results.grids import Grid, fixed, signed
from trainer.results.scores import HEADLINE, column_title
from trainer.spec.evaluation import ScoreName

MOST_BY_CLASS = 12  # rows of a table whose classes are shown, as each takes a column; CSV and JSON have all
_COLUMNS: dict[ScoreName, str] = {name: column_title(name) for name in HEADLINE if name != "aAcc"}
_MARKDOWN = re.compile(r"[\\`*<>\[\]|~&]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is one


def _greek(letter: str) -> str:
    name = unicodedata.name(letter).split()[-1].replace("LAMDA", "LAMBDA")
    return rf"$\{name.lower() if letter.islower() else name.capitalize()}$"


_SIGNS = {"±": "pm", "×": "times", "·": "cdot", "≤": "le", "≥": "ge", "→": "to", "∞": "infty", "µ": "mu"}
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": "$<$", ">": "$>$", "|": "$|$", "−": "$-$",
        **{sign: rf"$\{name}$" for sign, name in _SIGNS.items()},
        **{letter: _greek(letter) for letter in "αβγδεζηθικλμνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"},
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True)),  # TeX has no commands for these
    }
)  # fmt: skip


def score_grid(table: Table, block: Block, plus_minus: str = " ± ") -> Grid:
    """A row's name, scores, difference, p-value, seeds, and the paper's number if any row has one."""
    columns = _COLUMNS if table.metric in _COLUMNS else {table.metric: table.metric, **_COLUMNS}
    published = any(row.published is not None for row in block.rows)
    titles = [
        "",
        *columns.values(),
        f"Δ {columns[table.metric]}",
        "p",
        "n",
        *(["paper"] if published else []),
    ]
    rows = [
        [
            row.row,
            *(_spread(row.scores[column], plus_minus) for column in columns),
            signed(row.delta),
            _p_value(row.p_value),
            str(len(row.seeds)),
            *([fixed(row.published)] if published else []),
        ]
        for row in block.rows
    ]
    return Grid(titles, rows, words=1)


def class_grid(table: Table, block: Block) -> Grid | None:
    """IoU of each class, ΔIoU behind it, a column for each row; None for more than `MOST_BY_CLASS` rows."""
    names = [row.row for row in block.rows]
    are_references = [table.reference_of(row) == row.row for row in block.rows]
    if not block.classes or len(names) > MOST_BY_CLASS:
        return None
    rows = [
        [
            one.name,
            one.group,
            *(
                fixed(iou) + ("" if delta is None or is_one else f" ({signed(delta)})")
                for is_one, iou, delta in zip(are_references, one.iou, one.delta_iou, strict=True)
            ),
        ]
        for one in block.classes
    ]
    return Grid(["class", "group", *names], rows, words=2)


def classes_elsewhere(block: Block) -> str:
    """Where the classes are that a table is too wide for; empty if it is not."""
    number = len(block.rows)
    if not block.classes or number <= MOST_BY_CLASS:
        return ""
    return f"IoU and ΔIoU by class of {number:,} rows: in this table as CSV or JSON"


def to_markdown(table: Table) -> str:
    """A pipe table for each evaluation mode, classes below it, notes at the end."""
    reference = _markdown(table.against)
    lines = [f"# {_markdown(table.name) or 'Sweep'}", ""]
    for block in table.blocks:
        lines += [f"## {_markdown(block.mode)}", "", *_pipes(score_grid(table, block)), ""]
        if len(block.rows) > 1:
            lines += [f"Δ and p (paired t-test over shared seeds): against {reference}", ""]
        if (classes := class_grid(table, block)) is not None:
            lines += [f"IoU by class (ΔIoU against {reference}):", "", *_pipes(classes), ""]
        elif elsewhere := classes_elsewhere(block):
            lines += [elsewhere, ""]
    return "\n".join([*lines, *(f"- {_markdown(note)}" for note in table.notes)]).rstrip() + "\n"


def to_csv(table: Table) -> str:
    """One line for each mode and row, every number in full; spreads and classes in columns of their own.

    No cell is a formula to a spreadsheet: what begins like one gets an apostrophe before it.
    """
    classes = list(dict.fromkeys((one.id, one.name) for block in table.blocks for one in block.classes))
    scores = [name for column in HEADLINE for name in (column, f"{column}_std")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("mode", "row", "seeds", *scores, "delta", "p_value", "shared_seeds", "published"),
            *("metric", "reference", "unfinished", "stopped", "notes"),
            *(_plain(f"{what}/{name}") for what in ("iou", "delta_iou") for _, name in classes),
        ]
    )
    notes = _no_formula("; ".join(table.notes))
    for block in table.blocks:
        mode, columns = _no_formula(block.mode), _class_columns(block, classes)
        for place, row in enumerate(block.rows):
            cells = [row.scores[column] for column in HEADLINE]
            writer.writerow(
                [
                    *(mode, _no_formula(row.row), " ".join(map(str, row.seeds))),
                    *(number for cell in cells for number in (cell.mean, cell.std)),
                    *(row.delta, row.p_value, row.shared_seeds, row.published),
                    *(table.metric, _no_formula(table.reference_of(row)), row.unfinished, row.stopped, notes),
                    *(column[place] for column in columns),
                ]
            )
    return out.getvalue()


def to_latex(table: Table) -> str:
    """A table for each evaluation mode, one of its classes below it; needs the package booktabs only."""
    comments = [_plain(f"% {note}") for note in table.notes]
    parts = []
    for block in table.blocks:
        against = f"; Delta and p (paired t-test) against {table.against}" if len(block.rows) > 1 else ""
        about = f"% {block.mode}{against}"
        parts.append("\n".join([*comments, _plain(about), *_tabular(score_grid(table, block))]))
        if (classes := class_grid(table, block)) is not None:
            about = f"% {block.mode}; IoU by class (difference to {table.against})"
            parts.append("\n".join([_plain(about), *_tabular(classes)]))
        elif elsewhere := classes_elsewhere(block):
            parts.append(f"% {elsewhere}")
    return "\n\n".join(parts) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "json": lambda table: table.model_dump_json(indent=1) + "\n",
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
}


def _class_columns(block: Block, classes: Sequence[tuple[int, str]]) -> list[Sequence[float | None]]:
    """IoU of each class, then ΔIoU of each, by row of `block`."""
    known = {(one.id, one.name): one for one in block.classes}
    nothing = [None] * len(block.rows)
    return [
        *(known[key].iou if key in known else nothing for key in classes),
        *(known[key].delta_iou if key in known else nothing for key in classes),
    ]


def _pipes(grid: Grid) -> list[str]:
    aligned = [*["---"] * grid.words, *["---:"] * (len(grid.titles) - grid.words)]
    rows = [[*map(_markdown, row[: grid.words]), *row[grid.words :]] for row in grid.rows]
    return ["| " + " | ".join(row) + " |" for row in ([*map(_markdown, grid.titles)], aligned, *rows)]


def _tabular(grid: Grid) -> list[str]:
    rows = [[*map(_latex, row[: grid.words]), *map(_math, row[grid.words :])] for row in grid.rows]
    titles, *lines = (" & ".join(row) + r" \\" for row in ([*map(_latex, grid.titles)], *rows))
    return [
        rf"\begin{{tabular}}{{{'l' * grid.words}{'r' * (len(grid.titles) - grid.words)}}}",
        *(r"\toprule", titles, r"\midrule", *lines, r"\bottomrule"),
        r"\end{tabular}",
    ]


def _spread(cell: Cell, plus_minus: str) -> str:
    """Mean and standard deviation, the mean alone for one seed, empty without any."""
    if cell.mean is None or cell.std is None:
        return fixed(cell.mean)
    return f"{cell.mean:.2f}{plus_minus}{cell.std:.2f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _plain(text: str) -> str:
    """In one line, without control characters: names come from outside."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\g<0>", _plain(text))


def _latex(text: str) -> str:
    escaped = _plain(text).translate(_LATEX)
    # After the end of a row TeX takes these for an argument of it.
    return "{}" + escaped if escaped.startswith(("[", "*")) else escaped


def _math(text: str) -> str:
    return "$" + text.replace("±", r"\pm") + "$" if text else ""


def _no_formula(text: str) -> str:
    plain = _plain(text)
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain
