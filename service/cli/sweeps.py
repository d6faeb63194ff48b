"""What each `rebalance sweep …` command does, and `rebalance reproduce`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.cli.dataset_options import dataset_document
from service.cli.experiments import (
    BadArgument,
    print_items,
    print_json,
    print_table,
    read_spec,
    tell,
    told_on_interrupt,
)
from service.client import RebalanceClient
from service.shared.states import State
from trainer.base.ends import ExitCode
from trainer.base.schema_words import counted
from trainer.base.text import printable_lines

if TYPE_CHECKING:
    from service.shared.sweep_schemas import SweepPublic


def submit(args: argparse.Namespace, client: RebalanceClient) -> int:
    """POSTs a sweep, or only asks what it would do; with --wait stays for its table."""
    text = read_spec(args.spec)
    if args.validate_only:
        return _preview(args, client, text)
    stored = client.submit_sweep(text, idempotency_key=args.idempotency_key, reuse=args.reuse)
    if args.wait:
        return _wait(args, client, stored)
    again = f", the same as {stored.duplicate_of}" if stored.duplicate_of else ""
    return tell(args, stored, f"{stored.state}, {counted(stored.counts.total, 'trial')}{again}")


def watch(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Follows a sweep to its end, then prints its table."""
    return _wait(args, client, client.sweep(args.id, trials=0))


def list_(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Sweeps, newest first."""
    found = client.sweeps(state=args.state, owner=args.owner, project=args.project, limit=args.limit)
    if args.json:
        print_items(found)
        return 0
    from service.cli.tables.sweeps import sweeps_table

    print_table(sweeps_table(found, datetime.now(UTC)), empty="no sweeps")
    return 0


def show(args: argparse.Namespace, client: RebalanceClient) -> int:
    """One sweep with its trials, its attempts and events."""
    sweep = client.sweep(args.id)
    if args.json:
        print_json(sweep)
        return 0
    from service.cli.progress import make_console
    from service.cli.tables.attempts import print_history
    from service.cli.tables.sweeps import print_sweep

    console = make_console()
    print_sweep(console, sweep)
    print_history(console, client.sweep_attempts(args.id), client.sweep_events(args.id))
    return 0


def table(args: argparse.Namespace, client: RebalanceClient) -> int:
    """What it has measured so far."""
    _print_results(args, client, args.id, classes=args.classes)
    return 0


def cancel(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for a sweep's end."""
    sweep = client.cancel_sweep(args.id)
    return tell(args, sweep, f"{sweep.state}, cancel requested")


def pause(args: argparse.Namespace, client: RebalanceClient) -> int:
    """No more trials for now."""
    sweep = client.pause_sweep(args.id)
    return tell(args, sweep, f"{sweep.state}, paused; {_running_on(sweep.counts.running)}")


def resume(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Trials are started again."""
    sweep = client.resume_sweep(args.id)
    return tell(args, sweep, f"{sweep.state}, goes on")


def reproduce(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Runs a table of the paper on what one has, and prints our numbers beside the paper's."""
    document = _preset_document(args)
    if args.validate_only:
        return _preview(args, client, document)
    stored = client.submit_sweep(document)
    return _wait(args, client, stored)


def _preset_document(args: argparse.Namespace) -> dict[str, Any]:
    from sweeps.document.preset_options import preset_document
    from trainer.base.errors import SpecError

    base: dict[str, Any] = {}
    if dataset := dataset_document(args):
        base["dataset"] = dataset
    if args.model is not None:
        base["model"] = {"mmseg": args.model} if "/" in args.model else args.model
    try:
        document = preset_document(args, base=base)
    except SpecError as error:
        first = error.problems[0]
        raise BadArgument(
            f"{first.pointer.strip('/').upper()}: {first.got}; allowed: {first.allowed}"
        ) from None
    named = [
        args.preset,
        *([args.rows] if args.rows else []),
        *([f"on {args.dataset}"] if args.dataset else []),
    ]
    return {**document, "name": ", ".join([" ".join(named), *([args.model] if args.model else [])])}


def _preview(args: argparse.Namespace, client: RebalanceClient, sweep: str | dict[str, Any]) -> int:
    preview = client.preview_sweep(sweep)
    if args.json:
        print_json(preview)
        return 0
    from service.cli.tables.sweeps import cost_text, preview_table

    print_table(preview_table(preview), empty="no trials to list")
    print(cost_text(preview))
    for note in preview.notes:
        print(f"note: {note}")
    return 0


def _wait(args: argparse.Namespace, client: RebalanceClient, sweep: SweepPublic) -> int:
    """Follows to the end on stderr, then prints the table on stdout."""
    from service.cli.progress import make_console
    from service.cli.tables.sweeps import SweepView

    print(f"{sweep.id}  {sweep.name}: {counted(sweep.counts.total, 'trial')}", file=sys.stderr)
    what = "the cancel still stands" if sweep.cancel_requested_at else "the sweep goes on"
    with (
        told_on_interrupt(f"{what}: rebalance sweep watch {sweep.id}"),
        SweepView(make_console(stderr=True)) as view,
    ):
        for newest in client.follow_sweep(sweep.id):
            sweep = newest
            view.update(sweep)
    if sweep.counts.completed:
        _print_results(args, client, sweep.id)
    if sweep.error is not None:
        told = printable_lines(f"{sweep.error.type}: {sweep.error.message}")
        print(f"{sweep.id} {sweep.state}: {told}", file=sys.stderr)
    whole = sweep.state is State.COMPLETED and not sweep.counts.failed
    return 0 if whole else ExitCode.FAILED


def _print_results(
    args: argparse.Namespace, client: RebalanceClient, sweep_id: str, *, classes: bool = False
) -> None:
    if args.json or args.format is not None:
        print(client.sweep_table_text(sweep_id, args.format or "json"), end="")
        return
    from service.cli.progress import make_console
    from service.cli.tables.sweeps import print_results

    print_results(make_console(), client.sweep_table(sweep_id), classes=classes)


def _running_on(count: int) -> str:
    if count == 0:
        return "none runs"
    return f"{counted(count, 'trial')} {'runs to its end' if count == 1 else 'run to their end'}"
