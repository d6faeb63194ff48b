"""`python -m trainer.job --spec SPEC.json`: trains one experiment; report.json on every exit it controls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.base.data_roots import names_in
from trainer.base.documents import MalformedDocument, read_document
from trainer.base.ends import ExitCode
from trainer.base.errors import DataError, RegionRebalanceError, SpecError
from trainer.base.text import make_streams_printable
from trainer.data.folders import resolve_spec, unfit
from trainer.run.arguments import (
    add_shared_options,
    attempt_number,
    identifier,
    make_storage,
    mlflow_tag,
    parse_options,
    storage_at,
)
from trainer.run.ask_cluster import cluster_machines
from trainer.run.attempt import Attempt
from trainer.run.job_process import JobProcess, process_start
from trainer.spec.defaults import leaves_resources
from trainer.spec.spec import ExperimentSpec, parse_spec, spec_hash
from trainer.storage.layout import Storage
from trainer.task import Task

if TYPE_CHECKING:
    from trainer.plan import Plan
    from trainer.run.worker import WorkerResult


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 completed, 1 failed, 2 the spec or command line is wrong, 143 cancelled."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    options = parse_options(_parser(), arguments)
    storage = storage_at(options.storage)
    try:
        spec, make = _look(_parse(options), options, storage)
    except (SpecError, OSError, MalformedDocument) as error:
        return _refuse(options, storage, error)
    make_storage(storage)
    experiment = options.experiment or f"job-{datetime.now(UTC):%Y%m%d-%H%M%S}-{spec_hash(spec)[:6]}"
    attempt = _attempt(options, spec, storage, experiment)
    return _print_plan(attempt) if options.plan_only else JobProcess(attempt).run(partial(_train, make=make))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.job", description=__doc__)
    parser.add_argument(
        "--spec", type=Path, required=True, help="the experiment, as POST /experiments takes it"
    )
    parser.add_argument(
        "--experiment",
        type=identifier,
        help="id; one given before resumes from its checkpoints (default: a new one)",
    )
    parser.add_argument("--attempt", type=attempt_number, default=1)
    parser.add_argument(
        "--mlflow-tag",
        action="append",
        default=[],
        type=mlflow_tag,
        metavar="KEY=VALUE",
        help="of the experiment's run in MLflow (repeatable)",
    )
    add_shared_options(parser)
    parser.add_argument("--plan-only", action="store_true", help="print the rendered plan as JSON and stop")
    return parser


def _refuse(options: argparse.Namespace, storage: Storage, error: Exception) -> int:
    """Says what is wrong with the spec, in the report too where the service waits for one."""
    problems = error.problems if isinstance(error, SpecError) else (f"{options.spec}: {error}",)
    for problem in problems:
        print(problem, file=sys.stderr)
    try:
        spec = _parse(options)
    except (SpecError, OSError, MalformedDocument):
        return ExitCode.BAD_INPUT  # no spec, no report: the exit code is all there is
    if options.experiment and not options.plan_only:
        make_storage(storage)
        _attempt(options, spec, storage, options.experiment).refuse(error)
    return ExitCode.BAD_INPUT


def _parse(options: argparse.Namespace) -> ExperimentSpec:
    document = read_document(options.spec)
    return parse_spec(document, cluster_machines(options.max_cluster) if leaves_resources(document) else None)


def _attempt(options: argparse.Namespace, spec: ExperimentSpec, storage: Storage, experiment: str) -> Attempt:
    task = Task(
        experiment=experiment,
        attempt=options.attempt,
        spec=spec,
        storage=str(storage.root),
        mlflow_uri=options.mlflow_uri,
        mlflow_tags=dict(options.mlflow_tag),
        data_roots=names_in(options.data_root or ()),
        max_cluster=options.max_cluster,
    )
    return Attempt(task, begun=process_start())


def _look(
    spec: ExperimentSpec, options: argparse.Namespace, storage: Storage
) -> tuple[ExperimentSpec, Callable[[Task], Plan]]:
    """The spec after what can be checked here, and how its plan is made.

    On a cluster the data set is looked at where it is, once the job has joined: see `near_data`.

    Raises:
        SpecError: with every problem found.
    """
    from trainer.run import launch
    from trainer.run.near_data import planned, resolved_and_planned

    roots, most = options.data_root, options.max_cluster
    if options.plan_only or not launch.joins_cluster():
        return resolve_spec(spec, data_roots=roots, storage=storage, most=most), planned
    problems = unfit(spec, storage=storage, most=most)
    if problems:
        raise SpecError(tuple(problems))
    return spec, partial(resolved_and_planned, data_roots=roots)


def _print_plan(attempt: Attempt) -> int:
    """`--plan-only`: what would run, as JSON on stdout."""
    try:
        plan = attempt.make_plan(lambda text: print(text, file=sys.stderr, flush=True))
    except DataError as error:
        print(error, file=sys.stderr)
        return ExitCode.FAILED
    print(plan.model_dump_json(indent=1))
    return ExitCode.DONE


def _train(attempt: Attempt, make: Callable[[Task], Plan]) -> WorkerResult:
    from trainer.run import launch

    return launch.run_attempt(attempt, make=make)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
