"""`rebalance delete`, `gc` and `audit`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from service.cli.experiments import BadArgument, print_items, print_json, print_table
from service.shared.followup_ids import is_followup_id
from trainer.base.ends import ExitCode

if TYPE_CHECKING:
    from service.client.client import RebalanceClient
    from service.shared.keeping.gc_schemas import GcPublic
    from service.shared.keeping.schemas import DeletedPublic

_SWEEP = "swp-"


def delete(args: argparse.Namespace, client: RebalanceClient) -> int:
    """0 once everything is gone; 1 where something is left that `rebalance gc` has to take away."""
    _make_sure(args)
    left = False
    for each in args.id:
        gone = _deleted(each, args, client)
        left = left or bool(gone.left)
        if args.json:
            print_json(gone)
        else:
            print(f"{gone.id}: the {gone.kind} is deleted{' with its artifacts' if gone.artifacts else ''}")
            for trouble in gone.left:
                print(f"{gone.id}: left for `rebalance gc`: {trouble}", file=sys.stderr)
    return ExitCode.FAILED if left else ExitCode.DONE


def _deleted(identifier: str, args: argparse.Namespace, client: RebalanceClient) -> DeletedPublic:
    if is_followup_id(identifier):
        return client.delete_followup(identifier, artifacts=args.artifacts)
    # A trial's id begins as its sweep's does, and goes on.
    if identifier.startswith(_SWEEP) and "-" not in identifier.removeprefix(_SWEEP):
        return client.delete_sweep(identifier, artifacts=args.artifacts)
    return client.delete(identifier, artifacts=args.artifacts)


def _make_sure(args: argparse.Namespace) -> None:
    """Asks once more on a terminal; elsewhere the flag must say it. Raises BadArgument."""
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise BadArgument("--yes: is missing, and nobody can be asked; allowed: with --yes")
    what = "with run directories and MLflow runs" if args.artifacts else "but for files and MLflow runs"
    print(f"Delete {', '.join(args.id)}, {what}? This cannot be undone. [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BadArgument("nothing was deleted")


def gc(args: argparse.Namespace, client: RebalanceClient) -> int:
    """0 once all has gone that was to go; 1 where something could not."""
    older = int(args.older_than) if (args.older_than or "").isdecimal() else args.older_than
    found = client.gc(dry_run=args.dry_run, older_than=older, only=args.only)
    failed = _tell_gc(args, found)
    while found.more and found.kinds:  # one in which nothing went would only be repeated
        found = client.gc(dry_run=False, older_than=older, only=args.only)
        failed = _tell_gc(args, found) or failed
    return ExitCode.FAILED if failed else ExitCode.DONE


def _tell_gc(args: argparse.Namespace, found: GcPublic) -> bool:
    """Whether something could not be done."""
    if args.json:
        print_json(found)
    else:
        from service.cli.tables.keeping import gc_lines, gc_table

        print_table(gc_table(found), empty="nothing goes")
        if found.items:
            print("\n".join(gc_lines(found)))
    if found.trouble and not args.json:
        print(f"MLflow was not looked at: {found.trouble}", file=sys.stderr)
    return found.trouble is not None or any(each.trouble for each in found.items)


def audit(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Who asked for which change, newest first."""
    found = client.audit(
        actor=args.actor, action=args.action, kind=args.kind, subject=args.subject, limit=args.limit
    )
    if args.json:
        print_items(found)
        return ExitCode.DONE
    from service.cli.tables.keeping import audit_table

    print_table(audit_table(found), empty="no changes on record")
    return ExitCode.DONE
