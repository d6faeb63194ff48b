"""What each `rebalance sweep …` command does, and `rebalance reproduce`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.cli.dataset_options import dataset_document
from service.cli.experiments import (
    EXPERIMENT_FAILED,
    BadArgument,
    print_items,
    print_json,
    print_table,
    read_spec,
    told_on_interrupt,
)
from service.client import RebalanceClient
from service.shared.states import State
from trainer.base.schema_words import counted
from trainer.base.text import printable_lines

if TYPE_CHECKING:
    from service.shared.sweep_schemas import SweepPublic


def submit(args: argparse.Namespace, client: RebalanceClient) -> int:
    """POSTs a sweep, or only asks what it would do; with --wait stays for its table."""
    text = read_spec(args.spec)
    if args.validate_only:
        return _preview(args, client, text)
    stored = client.submit_sweep(text, idempotency_key=args.idempotency_key)
    if args.wait:
        return _wait(args, client, stored)
    return _told(args, stored, f"{stored.state}, {counted(stored.counts.total, 'trial')}")


def watch(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Follows a sweep to its end, then prints its table."""
    return _wait(args, client, client.sweep(args.id, trials=0))


def list_(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Sweeps, newest first."""
    found = client.sweeps(state=args.state, limit=args.limit)
    if args.json:
        print_items(found)
        return 0
    from service.cli.sweep_tables import sweeps_table

    print_table(sweeps_table(found, datetime.now(UTC)), empty="no sweeps")
    return 0


def show(args: argparse.Namespace, client: RebalanceClient) -> int:
    """One sweep with its trials."""
    seen = client.sweep(args.id)
    if args.json:
        print_json(seen)
        return 0
    from service.cli.progress import make_console
    from service.cli.sweep_tables import print_sweep

    print_sweep(make_console(), seen)
    return 0


def table(args: argparse.Namespace, client: RebalanceClient) -> int:
    """What it has measured so far."""
    _print_results(args, client, args.id, classes=args.classes)
    return 0


def cancel(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for a sweep's end."""
    seen = client.cancel_sweep(args.id)
    return _told(args, seen, f"{seen.state}, cancel asked")


def pause(args: argparse.Namespace, client: RebalanceClient) -> int:
    """No more trials for now."""
    seen = client.pause_sweep(args.id)
    return _told(args, seen, f"{seen.state}, paused; {_running_on(seen.counts.running)}")


def resume(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Trials are started again."""
    seen = client.resume_sweep(args.id)
    return _told(args, seen, f"{seen.state}, goes on")


def reproduce(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Runs a table of the paper on what one has, and prints our numbers beside the paper's."""
    stored = client.submit_sweep(_preset_document(args))
    return _wait(args, client, stored)


def _preset_document(args: argparse.Namespace) -> dict[str, Any]:
    from sweeps.document.presets import preset_sweep
    from trainer.base.errors import SpecError

    dataset, seeds = dataset_document(args), range(args.seeds)
    try:
        document = preset_sweep(args.preset, dataset=dataset, model=args.model, seeds=seeds)
    except SpecError as error:
        raise BadArgument(f"PRESET: {error.problems[0].got}; allowed: {error.problems[0].allowed}") from None
    if args.iterations is not None:
        document["base"]["schedule"] = {"iterations": args.iterations}
    name = f"{args.preset} on {args.dataset}, {args.model}"
    return {**document, "name": name, "tags": {"preset": args.preset}}


def _preview(args: argparse.Namespace, client: RebalanceClient, text: str) -> int:
    preview = client.preview_sweep(text)
    if args.json:
        print_json(preview)
        return 0
    from service.cli.sweep_tables import cost_text, preview_table

    print_table(preview_table(preview), empty="no trials to list")
    print(cost_text(preview))
    for note in preview.notes:
        print(f"note: {note}")
    return 0


def _wait(args: argparse.Namespace, client: RebalanceClient, seen: SweepPublic) -> int:
    """Follows to the end on stderr, then prints the table on stdout."""
    from service.cli.progress import make_console
    from service.cli.sweep_tables import SweepView

    print(f"{seen.id}  {seen.name}: {counted(seen.counts.total, 'trial')}", file=sys.stderr)
    what = "its end stays asked" if seen.cancel_requested_at else "the sweep goes on"
    with (
        told_on_interrupt(f"{what}: rebalance sweep watch {seen.id}"),
        SweepView(make_console(stderr=True)) as view,
    ):
        for now in client.follow_sweep(seen.id):
            seen = now
            view.update(seen)
    if seen.counts.completed:
        _print_results(args, client, seen.id)
    if seen.error is not None:
        told = printable_lines(f"{seen.error.type}: {seen.error.message}")
        print(f"{seen.id} {seen.state}: {told}", file=sys.stderr)
    whole = seen.state is State.COMPLETED and not seen.counts.failed
    return 0 if whole else EXPERIMENT_FAILED


def _print_results(
    args: argparse.Namespace, client: RebalanceClient, sweep_id: str, *, classes: bool = False
) -> None:
    if args.json or args.format is not None:
        print(client.sweep_table_text(sweep_id, args.format or "json"), end="")
        return
    from service.cli.progress import make_console
    from service.cli.sweep_tables import print_results

    print_results(make_console(), client.sweep_table(sweep_id), classes=classes)


def _running_on(count: int) -> str:
    if count == 0:
        return "none runs"
    return f"{counted(count, 'trial')} {'runs to its end' if count == 1 else 'run to their end'}"


def _told(args: argparse.Namespace, seen: SweepPublic, text: str) -> int:
    if args.json:
        print(json.dumps(seen.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False))
    else:
        print(f"{seen.id}  {seen.name}: {text}")
    return 0
