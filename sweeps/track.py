"""`python -m sweeps.track --sweep ID`: sends the sweep's own run, its table and report, to MLflow again."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.tracked_again import send_sweep_again
from trainer.base.documents import MalformedDocument, parse_document
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError, ReportError
from trainer.base.tee import tee_output
from trainer.base.text import make_streams_printable
from trainer.run.arguments import (
    add_resend_options,
    identifier,
    parse_options,
    refuse_no_mlflow,
    storage_at,
)
from trainer.storage.directories import SweepDir
from trainer.tracking.catch_up import SECONDS, give_time
from trainer.tracking.trouble import TrackerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 MLflow has it all, 1 it did not take it, 2 command line or sweep's directory are wrong."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    parser = _parser()
    options = parse_options(parser, arguments)
    refuse_no_mlflow(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    give_time()
    directory = storage_at(options.storage).sweep(options.sweep)
    try:
        sweep = _document(directory)
    except (RegionRebalanceError, MalformedDocument, OSError) as error:
        print(f"{options.sweep}: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    try:
        trouble = _send(sweep, directory, options)
    except (RegionRebalanceError, OSError) as error:  # such as a full disk
        print(f"{options.sweep}: {type(error).__name__}: {error}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.FAILED if trouble else ExitCode.DONE


def _document(directory: SweepDir) -> SweepSpec:
    """Raises ReportError where the sweep left nothing, OSError and SpecError where it cannot be read."""
    if directory.newest_attempt() == 0:
        raise ReportError(f"{directory}: no attempt is there")
    return parse_sweep(parse_document(directory.spec.read_bytes()))


def _send(sweep: SweepSpec, directory: SweepDir, options: argparse.Namespace) -> TrackerError | None:
    """What MLflow did not take; told in the log that a request of the service has."""
    by = f"track {options.number}" if options.number else "track by hand"
    storage, name = storage_at(options.storage), options.sweep
    with ExitStack() as opened:
        if options.number:
            log = directory.tracked.request(options.number).log.appending()
            opened.enter_context(tee_output(opened.enter_context(closing(log))))
        open_run = partial(ParentRun, sweep, name, storage, options.mlflow_uri, seconds=SECONDS)
        trouble = send_sweep_again(sweep, name, storage, open_run, status=options.status, by=by)
        told = trouble.told if trouble is not None else "MLflow has the sweep's table, gains and report"
        print(f"{name}: {told}", flush=True)
    return trouble


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sweeps.track", description=__doc__)
    parser.add_argument("--sweep", type=identifier, required=True, metavar="ID")
    add_resend_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
