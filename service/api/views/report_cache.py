"""Reports as HTML and their figures, drawn when asked for, and kept until what they show has changed.

Drawing takes seconds: one is made at a time, few may wait for it, and what does it is loaded by the first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from service.api.requests import Busy

if TYPE_CHECKING:
    from trainer.figures.figure import Absent, Figure
    from trainer.figures.study import Study

_MOST_REPORTS = 4
_MOST_WAITING = 4  # requests, each of which holds one of the server's threads
_MOST_SECONDS = 30.0


@dataclass(frozen=True)
class Drawn:
    """A report's figures by name; its page is made when it is asked for."""

    study: Study
    figures: Mapping[str, Figure | Absent]

    @cached_property
    def page(self) -> bytes:
        """The whole report."""
        from trainer.figures.document.page import report_html

        return report_html(self.study, list(self.figures.values())).encode()


class ReportCache:
    """The last reports drawn, each good while its `basis` is the same. For all threads."""

    def __init__(self) -> None:
        self._drawing = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._made: dict[str, tuple[object, Drawn]] = {}

    @contextmanager
    def drawn(self, name: str, basis: object, study: Callable[[], Study]) -> Iterator[Drawn]:
        """The report `name`; `study` is asked for where there is none of this `basis`.

        What is made of it within the block is made by one at a time.

        Raises:
            Busy: others are being drawn, and too many wait, or too long.
        """
        with self._turn():
            known, found = self._made.pop(name, (None, None))
            if found is None or known != basis:
                found = _draw(study())
            self._made[name] = basis, found
            if len(self._made) > _MOST_REPORTS:
                del self._made[next(iter(self._made))]
            yield found

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise Busy("other reports are being drawn; ask again")
        try:
            if not self._drawing.acquire(timeout=_MOST_SECONDS):
                raise Busy("another report is being drawn; ask again")
            try:
                yield
            finally:
                self._drawing.release()
        finally:
            self._waiting.release()


def _draw(study: Study) -> Drawn:
    from trainer.figures.figure import figures_of

    return Drawn(study, {one.kind.name: one for one in figures_of(study)})
