"""`rebalance watch`: a table of experiments that is kept up to date; without a terminal, plain lines."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from service.cli.progress import ProgressView, make_console
from service.client.client import ApiUnreachable, RebalanceClient
from service.client.http import PATIENCE
from service.shared.states import LIVE, State
from trainer.base.ends import ExitCode

if TYPE_CHECKING:
    from service.shared.schemas import ExperimentPublic

Answer = TypeVar("Answer")

_SECONDS = 2.0
_MOST = 50  # rows, where none were named


def watch(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Those named, until all have ended; else whatever has not ended, until Ctrl-C."""
    from rich.live import Live

    from service.cli.tables.experiments import experiments_table

    console = make_console()
    lines = ProgressView(console)
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        while True:
            found = _look(client, args.id)
            if live is not None:
                live.update(experiments_table(found, datetime.now(UTC)), refresh=True)
            else:
                for each in found:
                    lines.update(each)
            if args.id and all(each.state.ended for each in found):
                return _code(found)
            time.sleep(_SECONDS)


def _look(client: RebalanceClient, named: list[str]) -> list[ExperimentPublic]:
    """As they stand now; a service that is being started again is waited for."""
    if named:
        return [_patiently(partial(client.experiment, each)) for each in named]
    return _patiently(lambda: list(client.experiments(state=[*map(str, LIVE)], limit=_MOST)))


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """The answer. Raises ApiUnreachable where there was none for long."""
    for _ in range(PATIENCE):
        try:
            return ask()
        except ApiUnreachable:
            time.sleep(_SECONDS)
    return ask()


def _code(found: list[ExperimentPublic]) -> int:
    return ExitCode.DONE if all(each.state is State.COMPLETED for each in found) else ExitCode.FAILED
