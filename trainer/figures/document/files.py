"""A report as files: report.html, and each figure as SVG, PNG and CSV in a folder beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trainer.figures.document.page import report_html
from trainer.figures.figure import Absent, Figure, as_csv, as_png, as_svg, figures_of
from trainer.figures.study import Study
from trainer.storage.port import StoredFile, StoredFolder

FORMS: dict[str, Callable[[Figure], str | bytes]] = {"svg": as_svg, "png": as_png, "csv": as_csv}


def write_report(study: Study, page: StoredFile, figures: StoredFolder | None) -> Sequence[Figure | Absent]:
    """Writes all of it, each file whole; what an earlier report had, and this one has not, is removed.

    Raises:
        OSError: the storage does not take it.
    """
    found = list(figures_of(study))
    page.write(report_html(study, found))
    if figures is not None:
        _write_figures([one for one in found if isinstance(one, Figure)], figures)
    return found


def _write_figures(drawn: Sequence[Figure], folder: StoredFolder) -> None:
    folder.make()
    written = set()
    for figure in drawn:
        for form, make in FORMS.items():
            name = f"{figure.name}.{form}"
            folder.file(name).write(make(figure))
            written.add(name)
    for name in folder.names():
        if name not in written and name.rpartition(".")[2] in FORMS:
            folder.file(name).delete()
