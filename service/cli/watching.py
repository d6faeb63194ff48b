"""`rebalance watch`, a table that is kept up to date; `queue`, `quotas`: what waits, and who holds what."""

from __future__ import annotations

import argparse
import sys
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
from trainer.base.text import printable

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


def queue(args: argparse.Namespace, client: RebalanceClient) -> int:
    """What waits, each with its reason, and what is free."""
    from service.cli.experiments import print_json, print_table
    from service.cli.tables.queue import queue_table, queue_text

    found = client.queue(limit=args.limit)
    if args.json:
        print_json(found)
        return ExitCode.DONE
    print_table(queue_table(found, datetime.now(UTC)), empty="nothing waits")
    print(queue_text(found))
    return _tell_trouble(found.trouble)


def quotas(args: argparse.Namespace, client: RebalanceClient) -> int:
    """What each user and project holds."""
    from service.cli.experiments import print_json, print_table
    from service.cli.tables.queue import quotas_table

    found = client.quotas()
    if args.json:
        print_json(found)
        return ExitCode.DONE
    print_table(quotas_table(found), empty="nobody has anything in the queue")
    return _tell_trouble(found.trouble)


def _tell_trouble(trouble: str | None) -> int:
    if trouble is not None:
        print(printable(trouble), file=sys.stderr)
    return ExitCode.DONE


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
