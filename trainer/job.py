"""`python -m trainer.job --spec SPEC.json`: trains one experiment; report.json on every exit it controls."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from trainer.errors import Cancelled, DataError, RegionRebalanceError, SpecError, WorkerLost
from trainer.files import write_atomically
from trainer.folders import resolve_spec
from trainer.layout import AttemptDir, Storage, mlflow_ids
from trainer.report import RunError, RunReport, RunResult, write_report
from trainer.spec import ExperimentSpec, parse_spec, spec_hash
from trainer.tee import tee_output

if TYPE_CHECKING:
    from trainer.plan import Plan
    from trainer.worker import Outcome

_EXIT_FAILED, _EXIT_USAGE, _EXIT_CANCELLED = 1, 2, 143
_EXIT_CODES = {"completed": 0, "failed": _EXIT_FAILED, "cancelled": _EXIT_CANCELLED}
_DEFAULT_STORAGE = "~/.rebalance/storage"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 completed, 1 failed, 2 the spec or command line is wrong, 143 cancelled."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if _has_password(options.mlflow_uri):
        parser.error("--mlflow-uri: no user or password; set MLFLOW_TRACKING_USERNAME and …_PASSWORD")
    storage = Storage.at(options.storage)
    roots = [Path(root) for root in options.data_root] if options.data_root else None
    try:
        spec = resolve_spec(parse_spec(_read_json(options.spec)), data_roots=roots)
    except (SpecError, OSError, ValueError) as error:
        return _refuse(options, storage, error)
    experiment = options.experiment or f"job-{datetime.now(UTC):%Y%m%d-%H%M%S}-{spec_hash(spec)[:6]}"
    job = Job(
        spec, storage=storage, experiment=experiment, attempt=options.attempt, mlflow_uri=options.mlflow_uri
    )
    return job.print_plan() if options.plan_only else job.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.job", description=__doc__)
    parser.add_argument(
        "--spec", type=Path, required=True, help="the experiment, as POST /experiments takes it"
    )
    parser.add_argument(
        "--storage",
        default=os.environ.get("REBALANCE_STORAGE", _DEFAULT_STORAGE),
        help="shared by all nodes (default: REBALANCE_STORAGE, or %(default)s)",
    )
    parser.add_argument(
        "--experiment", help="id; one given before resumes from its checkpoints (default: a new one)"
    )
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--mlflow-uri", default=os.environ.get("MLFLOW_TRACKING_URI"))
    parser.add_argument(
        "--data-root",
        action="append",
        help="data must lie inside one of these (repeatable; default: anywhere)",
    )
    parser.add_argument("--plan-only", action="store_true", help="print the rendered plan as JSON and stop")
    return parser


def _has_password(uri: str | None) -> bool:
    """The address is kept in plan.json and shown in process lists."""
    parts = urlsplit(uri or "")
    return bool(parts.username or parts.password)


def _read_json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


def _refuse(options: argparse.Namespace, storage: Storage, error: Exception) -> int:
    """Says what is wrong with the spec, in the report too where the service waits for one."""
    problems = error.problems if isinstance(error, SpecError) else (f"{options.spec}: {error}",)
    for problem in problems:
        print(problem, file=sys.stderr)
    try:
        spec = parse_spec(_read_json(options.spec))
    except (SpecError, OSError, ValueError):
        return _EXIT_USAGE  # no spec, no report: the exit code is all there is
    if options.experiment and not options.plan_only:
        job = Job(
            spec,
            storage=storage,
            experiment=options.experiment,
            attempt=options.attempt,
            mlflow_uri=options.mlflow_uri,
        )
        job.refuse(error)
    return _EXIT_USAGE


class Job:
    """One attempt, from spec to report."""

    def __init__(
        self, spec: ExperimentSpec, *, storage: Storage, experiment: str, attempt: int, mlflow_uri: str | None
    ) -> None:
        self._spec = spec
        self._storage = storage
        self._experiment = experiment
        self._attempt = attempt
        self._mlflow_uri = mlflow_uri
        self._dir: AttemptDir = storage.attempt(experiment, attempt)
        self._marks: list[tuple[str, float]] = [("process start", _process_start()), ("imports", time.time())]
        self._started_at = _now()
        self._owns_cluster = False
        self._finished: RunReport | None = None

    def print_plan(self) -> int:
        """`--plan-only`: what would run, as JSON on stdout."""
        try:
            plan = self._plan()
        except DataError as error:
            print(error, file=sys.stderr)
            return _EXIT_FAILED
        print(plan.model_dump_json(indent=1))
        return 0

    def run(self) -> int:
        """Trains, with everything printed kept in log.txt; the exit code."""
        self._dir.path.mkdir(parents=True, exist_ok=True)
        self._catch_signals()
        with tee_output(self._dir.log):
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
            _say(f"experiment {self._experiment}, attempt {self._attempt}: {self._dir.path}")
            plan: Plan | None = None
            lost = True
            try:
                plan = self._prepare()
                outcome = self._train(plan)
                lost = outcome["tracking_lost"]
                report = self._report(outcome=outcome)
            except Cancelled as error:
                report = self._report(error=error)
            except Exception as error:  # the outermost frame: whatever it was belongs into the report
                logging.getLogger(__name__).exception("the run failed")
                report = self._report(error=error)
            self._finish(plan, report, replay=lost)
        return _EXIT_CODES[report.state]

    def refuse(self, error: Exception) -> None:
        """Ends an attempt whose spec was accepted once and cannot be run now."""
        self._finish(None, self._report(error=error), replay=False)

    def _prepare(self) -> Plan:
        """Connects to the cluster and makes the plan."""
        from trainer import launch

        self._owns_cluster = launch.connect()
        self._catch_signals()  # Ray has put its own handlers over ours: they abort without a word
        self._mark("ray")
        plan = self._plan()
        write_atomically(self._dir.plan, plan.model_dump_json(indent=1) + "\n")
        launch.require_resources(plan)
        self._mark("plan")
        return plan

    def _plan(self) -> Plan:
        from trainer.plan import make_plan

        return make_plan(
            self._spec,
            storage=self._storage,
            experiment=self._experiment,
            attempt=self._attempt,
            mlflow_uri=self._mlflow_uri,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )

    def _train(self, plan: Plan) -> Outcome:
        from trainer import launch

        _say(
            f"training {plan.spec.schedule.iterations} iterations on {plan.spec.resources.workers} worker(s)"
        )
        outcome = launch.launch(plan)
        self._marks += [(name, when) for name, when in outcome["marks"]]
        self._mark("ray teardown")
        return outcome

    def _mark(self, name: str) -> None:
        self._marks.append((name, time.time()))

    def _report(self, *, outcome: Outcome | None = None, error: BaseException | None = None) -> RunReport:
        state = "completed" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return RunReport.model_validate(
            {
                "experiment": self._experiment,
                "attempt": self._attempt,
                "state": state,
                "spec": self._spec,
                "result": RunResult.model_validate(outcome["result"]) if outcome else None,
                "error": run_error(error) if error else None,
                "mlflow_run_id": self._run_id(),
                "started_at": self._started_at,
                "ended_at": _now(),
                "timings": {name: max(0.0, end - begin) for (_, begin), (name, end) in pairs},
            }
        )

    def _finish(self, plan: Plan | None, report: RunReport, *, replay: bool) -> None:
        """Tells log and MLflow; report.json comes last, for with it the attempt counts as ended."""
        if report.error:
            _say(f"{report.state}: {report.error.type}: {report.error.message}")
        elif report.result:
            scores = report.result.evaluation["single_scale"]
            _say(f"completed: mIoU {shown(scores.mIoU)}, mAcc {shown(scores.mAcc)}, {self._dir.report}")
        self._finished = report
        if self._mlflow_uri:
            from trainer.run_log import Tracked, finish_run

            attempt = Tracked(self._spec, self._storage, self._experiment, self._attempt, self._mlflow_uri)
            finish_run(attempt, report, plan=plan, replay=replay)
            report = report.model_copy(update={"mlflow_run_id": self._run_id()})
        write_report(report, self._dir.report)

    def _run_id(self) -> str | None:
        return mlflow_ids(self._storage.mlflow_run(self._experiment)).get("run_id")

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, signum: int, frame: object) -> NoReturn:
        """Ray sends SIGTERM and kills after 3 s: the report first, and nothing that could block after it."""
        del frame
        cancelled = Cancelled(f"stopped by {signal.Signals(signum).name}")
        # Stopped while MLflow was being told, what was measured stands.
        report = self._finished or self._report(error=cancelled)
        write_report(report, self._dir.report)
        if self._owns_cluster:
            from trainer import launch

            launch.kill_own_cluster()
        os._exit(_EXIT_CODES[report.state])


def run_error(error: BaseException) -> RunError:
    """The report's form of an exception; only lost workers are worth another try as they are."""
    message = str(error).strip() or "(no message)"
    return RunError(
        type=type(error).__name__, message=message[:4000], retryable=isinstance(error, WorkerLost)
    )


def shown(score: float | None) -> str:
    """A score as text; no class of the split may have one."""
    return "undefined" if score is None else f"{score:.2f}"


def _process_start() -> float:
    import psutil

    return float(psutil.Process().create_time())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
