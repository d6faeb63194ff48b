"""`rebalance report`: figures and tables of experiments, or of a sweep, as one HTML file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import get_args

from service.cli.experiments import BadArgument
from service.cli.failure import fail
from service.client import RebalanceClient
from service.client.http import ApiError
from service.client.reports import FigureForm
from trainer.base.ends import ExitCode
from trainer.base.files import write_where_asked
from trainer.base.text import printable

_Ask = Callable[[str | None, FigureForm], bytes]  # the page without a figure's name


def report(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for the report, and writes it; with --figures also each figure as SVG, PNG and CSV."""
    ask, page = _found(args, client)
    path = Path(args.out or (f"report-{args.id[0]}.html" if len(args.id) == 1 else "report.html"))
    for option, wanted in (("--out", path), ("--figures", Path(args.figures or "."))):
        if not wanted.parent.is_dir():
            raise BadArgument(
                f"{option}: {wanted.parent} is no directory; allowed: a path in one that there is"
            )
    try:
        write_where_asked(path, page)
        figures = [] if args.figures is None else _write_figures(ask, Path(args.figures))
    except OSError as error:
        return fail(f"{error.filename or path}: {error.strerror or error}", ExitCode.FAILED)
    if args.json:
        print(json.dumps({"report": str(path), "figures": [str(each) for each in figures]}, indent=1))
    else:
        print(path, *figures, sep="\n")
    return ExitCode.DONE


def _found(args: argparse.Namespace, client: RebalanceClient) -> tuple[_Ask, bytes]:
    """How to ask, and the page: a single id may be a sweep's or an experiment's."""

    def of_sweep(figure: str | None, form: FigureForm) -> bytes:
        return client.sweep_report(args.id[0], figure=figure, form=form)

    def of_experiments(figure: str | None, form: FigureForm) -> bytes:
        return client.comparison_report(args.id, args.mode, figure=figure, form=form)

    if len(args.id) > 1 or args.mode is not None:
        return of_experiments, of_experiments(None, "svg")
    try:
        return of_sweep, of_sweep(None, "svg")
    except ApiError as error:
        if not error.problem.type.endswith(":unknown-sweep"):
            raise
        return of_experiments, of_experiments(None, "svg")


def _write_figures(ask: _Ask, folder: Path) -> list[Path]:
    """Every figure that is drawn, in every form; why one is not is told."""
    from trainer.figures.catalogue import KINDS

    folder.mkdir(exist_ok=True)
    written = []
    for name in KINDS:
        for form in get_args(FigureForm):
            try:
                content = ask(name, form)
            except ApiError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                print(printable(str(error)), file=sys.stderr)
                break
            written.append(folder / f"{name}.{form}")
            write_where_asked(written[-1], content)
    return written
