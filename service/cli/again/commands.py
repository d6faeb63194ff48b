"""`rebalance extend` and `rebalance sweep extend`: more of what has completed."""

from __future__ import annotations

import argparse
from typing import Any

from service.cli.experiments import follow_to_end, tell
from service.cli.sweeps import watch
from service.client import RebalanceClient
from trainer.base.schema_words import counted


def extend(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Stores an experiment that goes on from another; with --wait stays until it has ended."""
    stored = client.extend(
        args.id,
        args.iterations,
        rate=args.rate,
        learning_rate=args.learning_rate,
        idempotency_key=args.idempotency_key,
    )
    if args.wait:
        return follow_to_end(args, client, stored)
    total = stored.spec["schedule"]["iterations"]
    return tell(args, stored, f"{stored.state}, {total} iterations in all, continues {args.id}")


def extend_sweep(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Adds trials to a sweep; with --wait stays for its table."""
    seeds = args.seed or args.seeds
    axes: dict[str, list[Any]] = {}
    for pointer, values in args.axis:
        axes.setdefault(pointer, []).extend(values)
    sweep = client.extend_sweep(args.id, seeds=seeds, axes=axes, trials=args.trials)
    if args.wait:
        return watch(args, client)
    return tell(args, sweep, f"{sweep.state}, {counted(sweep.counts.total, 'trial')} in all")
