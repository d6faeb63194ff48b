"""`rebalance show`: one experiment, each try at it, and what happened."""

from __future__ import annotations

import argparse

from service.cli.experiments import print_json
from service.client.client import RebalanceClient
from trainer.base.ends import ExitCode


def show(args: argparse.Namespace, client: RebalanceClient) -> int:
    """One experiment with its attempts and events."""
    experiment = client.experiment(args.id)
    if args.json:
        print_json(experiment)
        return ExitCode.DONE
    from service.cli.progress import make_console
    from service.cli.tables.attempts import print_history
    from service.cli.tables.experiments import print_experiment

    console = make_console()
    print_experiment(console, experiment, client.base_url)
    print_history(console, client.attempts(args.id), client.events(args.id))
    return ExitCode.DONE
