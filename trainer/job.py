"""`python -m trainer.job --spec SPEC.json`: trains one experiment; report.json on every exit it controls."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from trainer.base.documents import MalformedDocument, read_document
from trainer.base.errors import Cancelled, DataError, RegionRebalanceError, SpecError
from trainer.base.text import make_streams_printable
from trainer.data.folders import resolve_spec
from trainer.results.report import RunReport
from trainer.run.attempt import Attempt, Tracking
from trainer.spec.spec import ExperimentSpec, parse_spec, spec_hash
from trainer.storage.layout import Storage

if TYPE_CHECKING:
    from trainer.run.worker import Outcome

_EXIT_FAILED, _EXIT_USAGE, _EXIT_CANCELLED = 1, 2, 143
_EXIT_CODES = {"completed": 0, "failed": _EXIT_FAILED, "cancelled": _EXIT_CANCELLED}
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")  # names a directory
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
DEFAULT_STORAGE = "~/.rebalance/storage"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 completed, 1 failed, 2 the spec or command line is wrong, 143 cancelled."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    parser = _parser()
    options = parser.parse_args(arguments)
    if has_password(options.mlflow_uri):
        parser.error("--mlflow-uri: no user or password; set MLFLOW_TRACKING_USERNAME and …_PASSWORD")
    storage = storage_at(options.storage)
    roots = [Path(root) for root in options.data_root] if options.data_root else None
    try:
        spec = resolve_spec(parse_spec(read_document(options.spec)), data_roots=roots)
    except (SpecError, OSError, MalformedDocument) as error:
        return _refuse(options, storage, error)
    make_storage(storage)
    experiment = options.experiment or f"job-{datetime.now(UTC):%Y%m%d-%H%M%S}-{spec_hash(spec)[:6]}"
    job = Job(_attempt(options, spec, storage, experiment))
    return job.print_plan() if options.plan_only else job.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.job", description=__doc__)
    parser.add_argument(
        "--spec", type=Path, required=True, help="the experiment, as POST /experiments takes it"
    )
    parser.add_argument(
        "--storage",
        default=os.environ.get("REBALANCE_STORAGE", DEFAULT_STORAGE),
        help="shared by all nodes (default: REBALANCE_STORAGE, or %(default)s)",
    )
    parser.add_argument(
        "--experiment",
        type=identifier,
        help="id; one given before resumes from its checkpoints (default: a new one)",
    )
    parser.add_argument("--attempt", type=attempt_number, default=1)
    parser.add_argument("--mlflow-uri", default=os.environ.get("MLFLOW_TRACKING_URI"))
    parser.add_argument(
        "--mlflow-tag",
        action="append",
        default=[],
        type=mlflow_tag,
        metavar="KEY=VALUE",
        help="of the experiment's run in MLflow (repeatable)",
    )
    parser.add_argument(
        "--data-root",
        action="append",
        help="data must lie inside one of these (repeatable; default: anywhere)",
    )
    parser.add_argument("--plan-only", action="store_true", help="print the rendered plan as JSON and stop")
    return parser


def mlflow_tag(text: str) -> tuple[str, str]:
    """A tag as a flag has it."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: KEY=VALUE")
    return key, value


def has_password(uri: str | None) -> bool:
    """The address is kept in plan.json and shown in process lists."""
    parts = urlsplit(uri or "")
    return bool(parts.username or parts.password)


def identifier(text: str) -> str:
    """An id as a flag has it: the name of a directory in storage."""
    if not _ID.fullmatch(text):
        wanted = "1 to 64 letters, digits, '.', '_' or '-', the first of them no '.'"
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: {wanted}")
    return text


def attempt_number(text: str) -> int:
    """The number of an attempt as a flag has it."""
    if not _ATTEMPT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: an integer >= 1")
    return int(text)


def storage_at(text: str) -> Storage:
    """The storage that `--storage` names; ends the process with a line where there can be none."""
    try:
        return Storage.at(text)
    except (OSError, RuntimeError) as error:  # nobody's home directory; links in a circle
        _refuse_storage(text, str(error))


def make_storage(storage: Storage) -> None:
    """Creates the directory where there is none; ends the process with a line where that cannot be."""
    root = storage.root
    try:
        storage.folder.make()
    except FileExistsError:
        _refuse_storage(root, "is not a directory")
    except OSError as error:
        _refuse_storage(root, f"cannot be made: {error.strerror}")
    if not os.access(root, os.W_OK | os.X_OK):
        _refuse_storage(root, "cannot be written to")


def _refuse_storage(path: str | Path, got: str) -> NoReturn:
    print(f"--storage: {path}: {got}; allowed: a directory that can be written to", file=sys.stderr)
    sys.exit(_EXIT_USAGE)


def _refuse(options: argparse.Namespace, storage: Storage, error: Exception) -> int:
    """Says what is wrong with the spec, in the report too where the service waits for one."""
    problems = error.problems if isinstance(error, SpecError) else (f"{options.spec}: {error}",)
    for problem in problems:
        print(problem, file=sys.stderr)
    try:
        spec = parse_spec(read_document(options.spec))
    except (SpecError, OSError, MalformedDocument):
        return _EXIT_USAGE  # no spec, no report: the exit code is all there is
    if options.experiment and not options.plan_only:
        make_storage(storage)
        _attempt(options, spec, storage, options.experiment).refuse(error)
    return _EXIT_USAGE


def _attempt(options: argparse.Namespace, spec: ExperimentSpec, storage: Storage, experiment: str) -> Attempt:
    return Attempt(
        spec,
        storage=storage,
        experiment=experiment,
        attempt=options.attempt,
        tracking=Tracking(options.mlflow_uri, dict(options.mlflow_tag)),
        begun=_process_start(),
    )


class Job:
    """This process as the driver of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._owns_cluster = False

    def print_plan(self) -> int:
        """`--plan-only`: what would run, as JSON on stdout."""
        try:
            plan = self._attempt.make_plan(lambda text: print(text, file=sys.stderr, flush=True))
        except DataError as error:
            print(error, file=sys.stderr)
            return _EXIT_FAILED
        print(plan.model_dump_json(indent=1))
        return 0

    def run(self) -> int:
        """Trains; the exit code."""
        self._catch_signals()
        report = self._attempt.run(self._work)
        assert isinstance(report, RunReport)
        return _EXIT_CODES[report.state]

    def _work(self, attempt: Attempt) -> Outcome:
        from trainer.run import launch

        self._owns_cluster = launch.connect()
        self._catch_signals()  # Ray has put its own handlers over ours: they abort without a word
        attempt.mark("ray")
        return launch.run_attempt(attempt)

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, signum: int, frame: object) -> NoReturn:
        """Ray sends SIGTERM and kills after 3 s: the report first, and nothing that could block after it."""
        del frame
        cancelled = Cancelled(f"stopped by {signal.Signals(signum).name}")
        # Stopped while MLflow was being told, what was measured stands.
        report = self._attempt.report(error=cancelled, final=True)
        self._attempt.keep(report)
        if self._owns_cluster:
            from trainer.run import launch

            launch.kill_own_cluster()
        os._exit(_EXIT_CODES[report.state])


def _process_start() -> float:
    import psutil

    return float(psutil.Process().create_time())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
