"""`python -m trainer.track --experiment ID`: sends all that its run directory has to MLflow again."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing

from trainer.base.documents import MalformedDocument
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError
from trainer.base.tee import tee_output
from trainer.base.text import make_streams_printable
from trainer.run.arguments import (
    add_resend_options,
    identifier,
    mlflow_tag,
    parse_options,
    refuse_no_mlflow,
    storage_at,
)
from trainer.task import Task
from trainer.tracking.catch_up import SECONDS, catch_up, give_time
from trainer.tracking.newest import newest
from trainer.tracking.trouble import TrackerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 MLflow has it all, 1 it did not take it, 2 command line or run directory are wrong."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    parser = _parser()
    options = parse_options(parser, arguments)
    refuse_no_mlflow(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    give_time()
    storage, experiment = storage_at(options.storage), options.experiment
    try:
        attempt = newest(storage, experiment, options.mlflow_uri, dict(options.mlflow_tag))
    except (RegionRebalanceError, MalformedDocument, OSError) as error:
        print(f"{experiment}: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    try:
        trouble = _catch_up(attempt, options)
    except (RegionRebalanceError, OSError) as error:  # such as a full disk
        print(f"{experiment}: {type(error).__name__}: {error}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.FAILED if trouble else ExitCode.DONE


def _catch_up(attempt: Task, options: argparse.Namespace) -> TrackerError | None:
    """What MLflow did not take; told in the log that a request of the service has."""
    by = f"track {options.number}" if options.number else "track by hand"
    with ExitStack() as opened:
        if options.number:
            log = attempt.layout.tracked(attempt.experiment).request(options.number).log.appending()
            opened.enter_context(tee_output(opened.enter_context(closing(log))))
        trouble = catch_up(attempt, by=by, status=options.status, seconds=SECONDS)
        print(_told(attempt.experiment, attempt.attempt, trouble), flush=True)
    return trouble


def _told(experiment: str, attempts: int, trouble: TrackerError | None) -> str:
    if trouble is not None:
        return f"{experiment}: {trouble.told}"
    return f"{experiment}: MLflow has everything of {attempts} attempt(s)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.track", description=__doc__)
    parser.add_argument("--experiment", type=identifier, required=True, metavar="ID")
    add_resend_options(parser)
    parser.add_argument("--mlflow-tag", action="append", default=[], type=mlflow_tag, metavar="KEY=VALUE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
