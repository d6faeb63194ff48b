"""`rebalance track`: what MLflow lacks of experiments and sweeps is sent again."""

from __future__ import annotations

import argparse
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

from service.cli.experiments import print_items
from service.client import RebalanceClient
from service.client.http import ApiError
from trainer.base.ends import ExitCode

if TYPE_CHECKING:
    from service.shared.schemas import ExperimentPublic
    from service.shared.sweep_schemas import SweepPublic


def track(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Has everything of experiments that have ended sent again, and the own runs of sweeps."""
    found: list[ExperimentPublic | SweepPublic] = []
    code = ExitCode.DONE
    for identifier in args.id:
        try:
            found.append(_asked(client, identifier))
        except ApiError as error:  # one that cannot be sent keeps none of the others back
            print(f"{identifier}: " + "\n".join(error.lines()), file=sys.stderr)
            code = ExitCode.BAD_INPUT if error.status < 500 else ExitCode.FAILED
    if args.json:
        print_items(found)
        return code
    for each in found:
        show = "rebalance sweep show" if each.links.self.startswith("/sweeps/") else "rebalance show"
        print(f"{each.id}  {each.name}: is being sent to MLflow again: {show} {each.id}")
    return code


def _asked(client: RebalanceClient, identifier: str) -> ExperimentPublic | SweepPublic:
    """An id of either kind may be anything: whoever submits without the service chooses it."""
    try:
        return client.track(identifier)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        try:
            return client.track_sweep(identifier)
        except ApiError as of_sweep:
            if of_sweep.status != HTTPStatus.NOT_FOUND:
                raise
            raise error from None
