"""`python -m trainer.followup --spec REQUEST.json`: one follow-up; report.json on every exit it controls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.base.documents import MalformedDocument, read_document
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError, SpecError
from trainer.base.text import make_streams_printable
from trainer.followups.attempt import FollowupAttempt, Outcome
from trainer.followups.task import FollowupTask
from trainer.run.arguments import (
    add_shared_options,
    attempt_number,
    identifier,
    make_storage,
    mlflow_tag,
    parse_options,
    storage_at,
)
from trainer.run.job_process import JobProcess, process_start
from trainer.spec.followups import parse_followup


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 completed, 1 failed, 2 the request or command line is wrong, 143 cancelled."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    options = parse_options(_parser(), arguments)
    storage = storage_at(options.storage)
    try:
        request = parse_followup(read_document(options.spec))
    except (SpecError, OSError, MalformedDocument) as error:
        problems = error.problems if isinstance(error, SpecError) else (f"{options.spec}: {error}",)
        print(*problems, sep="\n", file=sys.stderr)
        return ExitCode.BAD_INPUT  # no request, no report: the exit code is all there is
    make_storage(storage)
    task = FollowupTask(
        experiment=options.experiment,
        followup=options.followup,
        attempt=options.attempt,
        request=request,
        storage=str(storage.root),
        mlflow_uri=options.mlflow_uri,
        mlflow_tags=dict(options.mlflow_tag),
    )

    def work(attempt: FollowupAttempt) -> Outcome:
        from trainer.followups.launch import run_followup

        return run_followup(attempt, data_roots=options.data_root, most=options.max_cluster)

    return JobProcess(FollowupAttempt(task, begun=process_start())).run(work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.followup", description=__doc__)
    text = "what is asked for: an evaluation, a prediction or an export, as JSON with its `kind`"
    parser.add_argument("--spec", type=Path, required=True, help=text)
    parser.add_argument("--experiment", type=identifier, required=True, metavar="ID")
    text = "the follow-up's own id; a prediction's picture lies in its folder before"
    parser.add_argument("--followup", type=identifier, required=True, metavar="ID", help=text)
    parser.add_argument("--attempt", type=attempt_number, default=1)
    text = "of the experiment's run in MLflow, should it be gone (repeatable)"
    parser.add_argument(
        "--mlflow-tag", action="append", default=[], type=mlflow_tag, metavar="KEY=VALUE", help=text
    )
    add_shared_options(parser)
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
