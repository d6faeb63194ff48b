"""A table as text: Markdown, CSV and LaTeX (booktabs). Percent with two decimals, as papers print it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from sweeps.table import Block, Cell, Row, Table

COLUMNS = {
    "mIoU": "mIoU",
    "mAcc": "mAcc",
    "head_mIoU": "head",
    "body_mIoU": "body",
    "tail_mIoU": "tail",
}
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }
)  # fmt: skip


def header(table: Table, block: Block) -> list[str]:
    """The columns' titles: the row's name, scores, difference, p-value, seeds, the paper's number if any."""
    titles = ["", *COLUMNS.values(), f"Δ {COLUMNS.get(table.metric, table.metric)}", "p", "n"]
    return [*titles, "paper"] if _has_published(block) else titles


def cells(block: Block, row: Row, plus_minus: str = " ± ") -> list[str]:
    """One row in the order of `header`; empty where there is no number."""
    texts = [row.row, *(spread(row.scores[column], plus_minus) for column in COLUMNS)]
    texts += [_signed(row.delta), _p_value(row.p_value), str(len(row.seeds))]
    return [*texts, _fixed(row.published)] if _has_published(block) else texts


def spread(cell: Cell, plus_minus: str = " ± ") -> str:
    """Mean and standard deviation, the mean alone for one seed, empty without any."""
    if cell.mean is None or cell.std is None:
        return _fixed(cell.mean)
    return f"{cell.mean:.2f}{plus_minus}{cell.std:.2f}"


def to_markdown(table: Table) -> str:
    """A pipe table for each evaluation mode, classes below it, notes at the end."""
    lines = [f"# {table.name}" if table.name else "# Sweep", ""]
    for block in table.blocks:
        lines += [
            f"## {block.mode}",
            "",
            *_pipes(header(table, block), [cells(block, row) for row in block.rows]),
        ]
        lines += ["", f"Δ and p (paired t-test over shared seeds) against `{table.reference}`.", ""]
        if block.classes:
            lines += [f"IoU by class (ΔIoU against `{table.reference}`):", "", *_class_pipes(block), ""]
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def to_csv(table: Table) -> str:
    """One line for each mode and row, every number in full; spreads in columns of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    spreads = [name for column in COLUMNS for name in (column, f"{column}_std")]
    writer.writerow(["mode", "row", "seeds", *spreads, "delta", "p_value", "shared_seeds", "published"])
    for block in table.blocks:
        for row in block.rows:
            numbers = [
                value for column in COLUMNS for value in (row.scores[column].mean, row.scores[column].std)
            ]
            seeds = " ".join(map(str, row.seeds))
            ends = [row.delta, row.p_value, row.shared_seeds, row.published]
            writer.writerow([block.mode, row.row, seeds, *numbers, *ends])
    return out.getvalue()


def to_latex(table: Table) -> str:
    """A table for each evaluation mode; needs the package booktabs only."""
    parts = []
    for block in table.blocks:
        titles = [_escaped(title).replace("Δ", r"$\Delta$") for title in header(table, block)]
        body = [
            " & ".join([_escaped(first), *(_math(text) for text in rest)]) + r" \\"
            for first, *rest in (cells(block, row, r" \pm ") for row in block.rows)
        ]
        notes = [f"% {note}" for note in table.notes]
        parts.append(
            "\n".join(
                [
                    *notes,
                    rf"% {block.mode}; \Delta and p (paired t-test) against {table.reference}",
                    rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
                    r"\toprule",
                    " & ".join(titles) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "json": lambda table: table.model_dump_json(indent=1) + "\n",
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
}


def _class_pipes(block: Block) -> list[str]:
    titles = ["class", "group", *(row.row for row in block.rows)]
    rows = []
    for one in block.classes:
        pairs = zip(one.iou, one.delta_iou, strict=True)
        rows.append(
            [one.name, one.group, *(_fixed(iou) + (f" ({_signed(d)})" if d else "") for iou, d in pairs)]
        )
    return _pipes(titles, rows)


def _pipes(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    aligned = ["---", *["---:"] * (len(titles) - 1)]
    return [
        "| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in (titles, aligned, *rows)
    ]


def _has_published(block: Block) -> bool:
    return any(row.published is not None for row in block.rows)


def _fixed(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _math(text: str) -> str:
    return f"${text}$" if text else ""
