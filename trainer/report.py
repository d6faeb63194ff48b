"""`python -m trainer.report RUN_DIR…`: the report of run directories, without a service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.base.ends import ExitCode
from trainer.base.errors import ComparisonError, RegionRebalanceError, ReportError
from trainer.base.text import make_streams_printable, printable
from trainer.storage.posix import PosixFile, PosixFolder


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 written, 1 it could not be, 2 a directory holds no report, or they cannot be compared."""
    make_streams_printable()
    options = _parser().parse_args(arguments)
    from trainer.figures.sources import source_at, study_of

    try:
        study = study_of([source_at(path) for path in options.run_dirs], options.mode)
    except (ReportError, ComparisonError) as error:
        print(printable(str(error)), file=sys.stderr)
        return ExitCode.BAD_INPUT
    from trainer.figures.document.files import write_report
    from trainer.figures.figure import Absent

    figures = None if options.figures is None else PosixFolder(options.figures.resolve())
    try:
        found = write_report(study, PosixFile(options.out.resolve()), figures)
    except OSError as error:
        print(f"{error.filename or options.out}: {error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED
    for one in found:
        if isinstance(one, Absent):
            print(f"without {one.kind.title}: it needs {one.needs}", file=sys.stderr)
    print(options.out)
    return ExitCode.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.report", description=__doc__)
    text = "of an experiment (runs/ID), or one of its attempts (runs/ID/N); the first is the reference"
    parser.add_argument("run_dirs", metavar="RUN_DIR", nargs="+", type=Path, help=text)
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="(report.html)")
    text = "also every figure as SVG, PNG and CSV, in this directory"
    parser.add_argument("--figures", type=Path, metavar="DIR", help=text)
    parser.add_argument("--mode", metavar="MODE", help="way of scoring (the reference's first)")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
