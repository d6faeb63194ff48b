"""`rebalance pause` and `rebalance resume`: an experiment rests, and goes on."""

from __future__ import annotations

import argparse

from service.cli.experiments import tell
from service.client.client import RebalanceClient
from service.shared.states import State


def pause(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks it to rest; its state follows."""
    experiment = client.pause(args.id)
    asked = "" if experiment.state is State.PAUSED else ", pause requested"
    return tell(args, experiment, f"{experiment.state}{asked}")


def resume(args: argparse.Namespace, client: RebalanceClient) -> int:
    """It goes on where it was."""
    experiment = client.resume(args.id)
    return tell(args, experiment, f"{experiment.state}, goes on")
