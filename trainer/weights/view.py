"""What a person sees of weights: the list of them, and downloads on their way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TextIO

from trainer.base.text import printable_lines
from trainer.spec.catalogue.weights_list import Published
from trainer.storage.weights import WeightsFolder

if TYPE_CHECKING:
    from rich.progress import Progress

_PLAIN_WIDTH = 160  # columns, where nobody's window says
_PLAIN_STEP = 0.1  # of the file, between two plain lines


def entries(folder: WeightsFolder, published: Published) -> list[dict[str, Any]]:
    """Every name, published or in the storage, as plain data. Raises OSError."""
    names = sorted({*published, *folder.names()})
    return [_entry(name, folder, published) for name in names]


def _entry(name: str, folder: WeightsFolder, published: Published) -> dict[str, Any]:
    known, found, arrived = published.get(name), folder.find(name), folder.arrived(name)
    if found is not None:
        state = "here"
    elif folder.is_unchecked(name):
        state = "unchecked"
    else:
        state = "in part" if arrived else "absent"
    return {
        "name": name,
        "state": state,
        "size": found.note.size if found is not None else arrived or None,
        "sha256": found.note.sha256 if found is not None else known.sha256 if known is not None else None,
        "layout": found.note.layout if found is not None else known.layout if known is not None else None,
        "source": known.source if known is not None else found.note.source if found is not None else None,
        "urls": list(known.urls) if known is not None else [],
    }


def listing(found: Sequence[dict[str, Any]]) -> str:
    """The same as a table in text."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "in the storage", "size", "SHA-256", "layout", "source"):
        table.add_column(title, overflow="fold", justify="right" if title == "size" else "left")
    for each in found:
        state = "" if each["state"] == "absent" else each["state"]
        size, digits = each["size"], (each["sha256"] or "")[:8]
        cells = (each["name"], state, size_text(size) if size else "", digits, each["layout"], each["source"])
        table.add_row(*(printable_lines(str(cell or "")) for cell in cells))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PLAIN_WIDTH)
    with console.capture() as shown:
        console.print(table)
    return "\n".join(line.rstrip() for line in shown.get().splitlines()) + "\n"


def size_text(size: int) -> str:
    """Bytes in MB, as people compare them."""
    return f"{size / 1e6:.1f} MB"


class Downloads:
    """While it is entered, one download: a bar in a terminal, elsewhere a line for each tenth of the way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Progress | None = None
        self._told = -1

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._bar = _bar(self._stream)
            self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line, above the bar."""
        line = printable_lines(text)
        if self._bar is not None:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def advance(self, size: int, total: int | None) -> None:
        """Shows that `size` bytes are here, of `total`."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=size, total=total)
            return
        tenth = int(size / total / _PLAIN_STEP) if total else size // 100_000_000
        if tenth != self._told:
            self._told = tenth
            self.say(f"{size_text(size)} of {size_text(total)}" if total else size_text(size))


def _bar(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(file=stream, highlight=False)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
