"""`rebalance extend`: further iterations of an experiment that has completed."""

from __future__ import annotations

import argparse

from service.cli.experiments import follow_to_end, tell
from service.client import RebalanceClient


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
