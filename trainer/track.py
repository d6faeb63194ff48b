"""`python -m trainer.track --experiment ID`: sends all that its run directory has to MLflow again."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing

from trainer.base.documents import MalformedDocument
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError
from trainer.base.tee import tee_output
from trainer.base.text import make_streams_printable
from trainer.run.arguments import (
    add_tracking_options,
    attempt_number,
    identifier,
    mlflow_tag,
    parse_options,
    storage_at,
)
from trainer.task import Task
from trainer.tracking.catch_up import catch_up
from trainer.tracking.newest import newest
from trainer.tracking.trouble import TrackerError

_SECONDS = 1800.0
# Nobody waits for this job: it gives a slow server more time than a training does.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
_STATUSES = ("FINISHED", "FAILED", "KILLED")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 MLflow has it all, 1 it did not take it, 2 command line or run directory are wrong."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    parser = _parser()
    options = parse_options(parser, arguments)
    if not options.mlflow_uri:
        parser.error("--mlflow-uri: is missing; allowed: an MLflow server's address, or MLFLOW_TRACKING_URI")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
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
            log = attempt.layout.track_request(attempt.experiment, options.number).log.appending()
            opened.enter_context(tee_output(opened.enter_context(closing(log))))
        trouble = catch_up(attempt, by=by, status=options.status, seconds=_SECONDS)
        print(_told(attempt.experiment, attempt.attempt, trouble), flush=True)
    return trouble


def _told(experiment: str, attempts: int, trouble: TrackerError | None) -> str:
    if trouble is not None:
        return f"{experiment}: {trouble.told}"
    return f"{experiment}: MLflow has everything of {attempts} attempt(s)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.track", description=__doc__)
    parser.add_argument("--experiment", type=identifier, required=True, metavar="ID")
    add_tracking_options(parser)
    parser.add_argument("--mlflow-tag", action="append", default=[], type=mlflow_tag, metavar="KEY=VALUE")
    text = "the run's in the end (default: what the newest report says; without one the run stays open)"
    parser.add_argument("--status", choices=_STATUSES, help=text)
    parser.add_argument(
        "--number", type=attempt_number, help="of the service's request; nobody else gives one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
