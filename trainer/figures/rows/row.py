"""A figure's rows, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | int | float | bool | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Missing:
    """A figure without data: `needs` says what would be needed, as half a sentence."""

    needs: str


Rows = list[Row] | Missing
