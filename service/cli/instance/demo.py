"""`rebalance demo`: three methods on the built-in data set, posted over HTTP, and their comparison."""

from __future__ import annotations

import argparse
import json
import threading
from typing import TYPE_CHECKING, Any

from service.cli.instance.serve import run_instance
from service.cli.progress import ProgressView, StartNotices, make_console
from service.cli.tables.comparisons import comparison_table
from service.cli.tables.experiments import Document
from service.client import RebalanceClient
from service.local.instance import Embedded
from service.local.supervisor import StopAsked
from service.shared.states import State
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError
from trainer.base.text import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console

    from service.shared.schemas import ExperimentPublic
    from service.shared.settings import Settings

DATA_DIR = ".rebalance"
METHODS: tuple[dict[str, Any], ...] = (
    {"kind": "baseline"},
    {"kind": "balanced_softmax", "prior": "pixel"},
    {"kind": "region_rebalance"},
)
_POLL_SECONDS = 0.5
_CLOSING = """\
Percent; ΔmIoU in points against the first row; head, body, tail: thirds of the classes by training pixels.
One seed stands behind each row, on synthetic scenes composed from handwritten digits: this is what was
measured here, and it does not say which method is better.

All of it is kept in {data_dir}.
`make serve` opens it again and prints two addresses: the API with its docs (/docs), and the MLflow
interface with the curves and per-class tables of these runs (choose "Model training" at its top left).
"""


class DemoFailed(RegionRebalanceError):
    """An experiment of the demo did not complete."""


def demo_command(args: argparse.Namespace) -> int:
    """0 once the table is printed; 1 with the error where an experiment fails."""
    console = make_console(stderr=args.json)

    def work(settings: Settings, stop: threading.Event) -> int:
        with Embedded(settings, StartNotices(console), stop) as running:
            comparison = _run(running, console, stop, args.iterations)
            _conclude(console, comparison, settings, as_json=args.json)
            console.print("stopping Ray, MLflow and the API …")
        return 0

    args.data_dir = args.data_dir or DATA_DIR
    stopped = ("stopped; `make serve` goes on with the experiments", ExitCode.INTERRUPTED)
    return run_instance(args, console, work, stopped=stopped, port=0)


def documents(iterations: int | None) -> list[dict[str, Any]]:
    """The three specs, as they are posted."""
    schedule = {"schedule": {"iterations": iterations}} if iterations is not None else {}
    return [
        {
            "name": f"demo: {method['kind']}",
            "dataset": {"name": "digit_scenes"},
            "model": "small",
            "method": method,
            "tags": {"purpose": "demo"},
            **schedule,
        }
        for method in METHODS
    ]


def _run(running: Embedded, console: Console, stop: threading.Event, iterations: int | None) -> Document:
    """Posts, follows and compares; looks after the servers meanwhile."""
    with RebalanceClient(running.endpoints.api) as client:
        console.print(
            f"POST {running.endpoints.api}/experiments: baseline, balanced_softmax, region_rebalance"
        )
        experiments = [client.submit(document) for document in documents(iterations)]
        with ProgressView(console) as view:
            while True:
                experiments = [client.experiment(each.id) for each in experiments]
                for each in experiments:
                    view.update(each)
                if all(each.state.ended for each in experiments):
                    break
                running.check()
                if stop.wait(_POLL_SECONDS):
                    raise StopAsked("asked to stop")
        _all_completed(client, experiments)
        return client.comparison_document([each.id for each in experiments])


def _all_completed(client: RebalanceClient, ended: list[ExperimentPublic]) -> None:
    """Raises DemoFailed naming every experiment that did not, with its error and the end of its log."""
    complaints = []
    for each in ended:
        if each.state is not State.COMPLETED:
            why = (
                printable_lines(f"{each.error.type}: {each.error.message}")
                if each.error
                else "no error was given"
            )
            tail = client.logs(each.id).text.rstrip().splitlines()[-15:]
            complaints.append("\n".join((f"{each.id} ({each.name}) {each.state}: {why}", *tail)))
    if complaints:
        raise DemoFailed("\n".join(complaints))


def _conclude(console: Console, comparison: Document, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(comparison), flush=True)
    console.print()
    console.print(comparison_table(comparison))
    for line in _CLOSING.format(data_dir=settings.data_dir).splitlines():
        console.print(line, markup=False, soft_wrap=True)
    for note in comparison["notes"]:
        console.print(f"note: {printable(note)}", markup=False, soft_wrap=True)
