"""`python -m sweeps.job --spec SWEEP.json` (or `--preset table3`): runs a sweep to its table.

It goes on where an earlier one was.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sweeps.document.cost import cost_of
from sweeps.document.estimate import cost_line, pixel_seconds, stored_reports
from sweeps.document.expand import Trial, count_trials, expand, num_draws
from sweeps.document.preset_options import add_preset_options, preset_defaults, preset_document
from sweeps.document.presets import PRESETS
from sweeps.document.resolve import resolve_trials
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.document.stages import forms
from sweeps.results.report import SweepReport, write_sweep_report
from trainer.base.data_roots import names_in
from trainer.base.documents import MalformedDocument, parse_document, read_document
from trainer.base.ends import End, ExitCode
from trainer.base.errors import Problem, RegionRebalanceError, SpecError
from trainer.base.schema_words import counted
from trainer.base.text import make_streams_printable
from trainer.run.arguments import (
    add_shared_options,
    attempt_number,
    identifier,
    make_storage,
    parse_options,
    storage_at,
)
from trainer.run.ask_cluster import cluster_machines
from trainer.run.reported import attempt_error, utc_now_text
from trainer.spec.defaults import leaves_resources
from trainer.storage.layout import Storage

_MOST_LISTED = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 completed, 1 failed, 2 the sweep or command line is wrong, 143 cancelled."""
    make_streams_printable(utf8=True)  # what is printed is log.txt, too
    options = parse_options(_parser(), arguments)
    storage = storage_at(options.storage)
    try:
        sweep = _sweep(options)
        name = options.sweep or sweep_id(sweep)
        _refuse_another(storage, name, sweep)
        look = partial(
            resolve_trials,
            sweep,
            data_roots=options.data_root,
            storage=storage,
            most=options.max_cluster,
        )
        here = options.list or not _joins_cluster()
        trials = look(expand(sweep)) if here else expand(sweep)
    except (SpecError, OSError, MalformedDocument) as error:
        return _refuse(options, storage, error)
    if options.list:
        return _list(sweep, name, trials, storage)
    make_storage(storage)
    from sweeps.driver.driver import Driver
    from sweeps.driver.sweep_task import SweepTask

    directory = storage.sweep(name)
    directory.spec.write(sweep.model_dump_json(indent=1) + "\n")
    attempt = options.attempt or directory.newest_attempt() + 1
    directory.attempt(attempt).spec.write(sweep.model_dump_json(indent=1) + "\n")
    task = SweepTask(
        sweep=sweep,
        identifier=name,
        attempt=attempt,
        storage=storage,
        mlflow_uri=options.mlflow_uri,
        trials=() if sweep.search == "optuna" else trials,
        total=count_trials(sweep),
        data_roots=names_in(options.data_root or ()),
        max_cluster=options.max_cluster,
        resolve=lambda trial: look([trial])[0],
        look=None if here else look,
    )
    return Driver(task).run()


def _joins_cluster() -> bool:
    """Whether trials' data sets are looked at where they are, once the driver has joined: see `looked_at`."""
    from trainer.run import launch

    return launch.joins_cluster()


def _sweep(options: argparse.Namespace) -> SweepSpec:
    """The sweep that was asked for, by its document or as a table of the paper."""
    if options.preset is None:
        _refuse_options_of_a_table(options)
        document = read_document(options.spec)
    else:
        document = preset_document(options, base=_dataset(options.dataset))
    base = document.get("base") if isinstance(document, dict) else None
    machines = cluster_machines(options.max_cluster, show_workers=False) if leaves_resources(base) else None
    return parse_sweep(document, machines)


def _dataset(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        return {"dataset": parse_document(text.encode())}
    except MalformedDocument as error:
        raise SpecError((Problem("--dataset", str(error), '{"root": DIR}, or a name in quotes'),)) from None


def _refuse_options_of_a_table(options: argparse.Namespace) -> None:
    """With --spec they would change nothing."""
    usual = preset_defaults() | {"dataset": None}
    given = [name for name, value in usual.items() if getattr(options, name) != value]
    if given:
        raise SpecError(
            tuple(
                Problem(f"--{name}", "is of a --preset, and --spec is given", "one or the other")
                for name in given
            )
        )


def _refuse(options: argparse.Namespace, storage: Storage, error: Exception) -> int:
    """Says what is wrong; in a report too for who named the attempt, and so waits for one."""
    problems = (
        error.problems if isinstance(error, SpecError) else (f"{options.spec or options.preset}: {error}",)
    )
    for problem in problems:
        print(problem, file=sys.stderr)
    if options.list or not (options.sweep and options.attempt):
        return ExitCode.BAD_INPUT
    try:
        sweep = _sweep(options)
    except (SpecError, OSError, MalformedDocument):
        return ExitCode.BAD_INPUT  # no sweep, no report: the exit code is all there is
    make_storage(storage)
    now = utc_now_text()
    report = SweepReport(
        sweep=options.sweep,
        attempt=options.attempt,
        state=End.FAILED,
        spec=sweep,
        error=attempt_error(error),
        started_at=now,
        ended_at=now,
    )
    write_sweep_report(report, storage.sweep(options.sweep).attempt(options.attempt).report)
    return ExitCode.BAD_INPUT


def sweep_id(sweep: SweepSpec) -> str:
    """The id of a sweep that is given none: the same for the same document, so that it goes on.

    Variants in another order are another sweep: trials are numbered by it.
    """
    return f"sweep-{hashlib.sha256(sweep.model_dump_json().encode()).hexdigest()[:10]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sweeps.job", description=__doc__)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--spec", type=Path, help="the sweep, as POST /sweeps takes it")
    asked.add_argument("--preset", choices=tuple(PRESETS), help="a table of the paper, as a sweep")
    parser.add_argument("--dataset", metavar="JSON", help='of a preset: where the data lie, {"root": DIR}')
    add_preset_options(parser)
    parser.add_argument(
        "--sweep",
        type=identifier,
        help="id; one given before goes on where it was (default: made from the document)",
    )
    parser.add_argument("--attempt", type=attempt_number, help="default: one more than the last")
    add_shared_options(parser)
    parser.add_argument("--list", action="store_true", help="print the trials and their cost, and stop")
    return parser


def _refuse_another(storage: Storage, identifier: str, sweep: SweepSpec) -> None:
    """A sweep's trials are found by number: another document under its id would mix two sweeps.

    Raises:
        SpecError: the id belongs to a sweep that is not this one. Name and limits may change, but for the
            number of trials; tags are a part of the trials. It may have been extended.
    """
    file = storage.sweep(identifier).spec
    if not file.exists():
        return
    before, now = _lasting(parse_sweep(parse_document(file.read_bytes()))), _lasting(sweep)
    if any(_lasting(each) == before for each in forms(sweep)):
        return  # it, or what it was before it was extended
    got = f"{identifier} is another sweep's id: that one began with another document"
    wanted = "what it began with, or another --sweep; /name and the other limits may change"
    changed = [pointer for pointer in now if now[pointer] != before[pointer]]
    if changed:
        raise SpecError(tuple(Problem(each, got, wanted) for each in changed))


def _lasting(sweep: SweepSpec) -> dict[str, object]:
    """What may not change between two attempts at a sweep, by pointer."""
    fields = {f"/{name}": getattr(sweep, name) for name in SweepSpec.model_fields}
    del fields["/name"], fields["/limits"]
    return {**fields, "/variants": list(sweep.variants.items()), "/limits/trials": sweep.limits.trials}


def _list(sweep: SweepSpec, identifier: str, trials: Sequence[Trial], storage: Storage) -> int:
    print(f"sweep {identifier}: {counted(count_trials(sweep), 'trial')}")
    asked, draws = sweep.limits.trials, num_draws(sweep)
    if sweep.search != "grid" and asked != draws:
        print(f"{draws} draws, not {asked}: the axes have no more settings, and each is run once")
    if sweep.search == "optuna":
        print("drawn as it goes; such as:")
    measured = pixel_seconds(stored_reports(storage))
    for trial in trials[:_MOST_LISTED]:
        one = cost_of([trial.spec], pixel_seconds=measured).train_seconds
        time = "" if one is None else f", about {one:.0f} s"
        print(f"{trial.number:5} {trial.name}: {trial.spec.schedule.iterations} iterations{time}")
    if len(trials) > _MOST_LISTED:
        print(f"      … and {len(trials) - _MOST_LISTED} more")
    cost = cost_of([trial.spec for trial in trials], trials=count_trials(sweep), pixel_seconds=measured)
    print(cost_line(cost, sweep.limits.concurrent_trials))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RegionRebalanceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
