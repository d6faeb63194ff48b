"""The service under load: posts, reads and lists, open streams, passes; and MLflow's REST API beside it.

`posts_per_second`: experiments accepted, each answered once it is durable: SQLite in WAL mode with
synchronous=FULL, Postgres with fsync. The queue grows meanwhile, and the reconciler decides over it.
`read_p99_ms`, `list_p99_ms`: the status of one experiment (half of them run), and the first page of the
list, 50 of them whole, each at a rate of 100 a second, by how many are stored. Requests are due at fixed
times, and latency counts from then (`load.py`). `open_streams`: from the request that cancels an experiment
to the event at the one who watches it. `reconciler_pass_seconds`: a pass over that many running experiments.

MLflow has its own server on SQLite, as the embedded instance starts it: `mlflow_posts_per_second` are runs
created (without parameters, which take it another request), the list is a search for the newest 50.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.service import mlflow_api
from benchmarks.service.databases import Make, postgres, sqlite
from benchmarks.service.load import Load, Request, load
from benchmarks.service.passes import pass_seconds
from benchmarks.service.server import serving
from benchmarks.service.stored import SPEC, leave_directories, store
from benchmarks.service.streams import delivered
from service.migrations import migrate
from service.shared.settings import Settings
from service.shared.states import State

_RUNNING = 50  # of the experiments stored, while they are read
_PAGE = 50
_RATE = 100.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    posts: int  # at most
    posting_seconds: float
    connections: int
    stored: tuple[int, ...]
    reading_seconds: float
    streams: int
    running: int
    passes: int


_FULL = Size(10_000, 8.0, 16, (100, 10_000, 100_000), 5.0, 500, 1000, 5)
_SMALL = Size(20, 10.0, 4, (60, 120), 0.5, 10, 20, 2)

Figures = dict[str, Any]
Some = Callable[[int], list[Request]]  # as many requests


@contextmanager
def directory() -> Iterator[Path]:
    """One for a service's data, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="rr-load-") as made:
        yield Path(made)


def posts(size: Size, make: Make) -> Figures:
    """How many experiments are accepted in a second."""
    bodies = [json.dumps({**SPEC, "name": f"run {seed}", "seed": seed}) for seed in range(size.posts)]
    requests: list[Request] = [("POST", "/experiments", body) for body in bodies]
    with directory() as here, serving(make("posts", here).url, here, max_running=2) as url:
        found = load(url, requests, connections=size.connections, seconds=size.posting_seconds)
    return {
        "per_second": round(found.per_second, 1),
        "answered": found.answered,
        "median_ms": round(found.quantile_ms(0.5), 2),
        "p99_ms": round(found.quantile_ms(0.99), 2),
    }


def latencies(found: Load) -> Figures:
    """Of one number stored."""
    return {
        "p99": round(found.quantile_ms(0.99), 2),
        "median": round(found.quantile_ms(0.5), 2),
        "per_second": round(found.per_second, 1),
    }


def at_rate(url: str, size: Size, requests: Some) -> Figures:
    """Latencies of requests that come at a fixed rate; some go before them, uncounted."""
    load(url, requests(20), connections=2, seconds=5.0)
    some = requests(int(_RATE * size.reading_seconds))
    return latencies(load(url, some, connections=32, seconds=2 * size.reading_seconds, rate=_RATE))


def one_experiment(identifier: str) -> Request:
    """What reads its status."""
    return "GET", f"/experiments/{identifier}", None


def drawn(ids: Sequence[str], often: Sequence[str], of: Callable[[str], Request]) -> Some:
    """Asks for any of them, every other time for one of those that are asked for `often`."""
    draw = random.Random(0)
    return lambda number: [of(draw.choice(often if each % 2 else ids)) for each in range(number)]


def same(request: Request) -> Some:
    """Asks for the same each time."""
    return lambda number: [request] * number


def reads(size: Size, make: Make) -> tuple[Figures, Figures]:
    """Latencies of a status and of a list page, by how many are stored."""
    one, page = {}, {}
    with directory() as here:
        database = make("reads", here)
        settings = Settings(data_dir=here, database_url=database.url)
        migrate(settings)
        running = store(database.url, _RUNNING, state=State.RUNNING)
        leave_directories(settings.layout, running)
        ids = list(running)
        with serving(database.url, here, max_running=_RUNNING) as url:
            for number in size.stored:
                ids += store(database.url, number - len(ids), first=len(ids))
                database.settle()
                one[str(number)] = at_rate(url, size, drawn(ids, running, one_experiment))
                page[str(number)] = at_rate(url, size, same(("GET", f"/experiments?limit={_PAGE}", None)))
    return one, page


def streams(size: Size) -> Figures:
    """How long it takes until those hear who watch."""
    with directory() as here:
        url_of = sqlite("streams", here).url
        migrate(Settings(data_dir=here, database_url=url_of))
        ids = store(url_of, size.streams + 2, state=State.QUEUED)
        with serving(url_of, here, max_running=2) as url:
            found = delivered(url, ids[2:])  # the first two are running by then
    ordered = sorted(found["latency_ms"])
    return {
        "open": size.streams,
        "delivered": len(ordered),
        "until_all_open_seconds": round(found["open_seconds"], 2),
        "median_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
    }


def beside(size: Size) -> Figures:
    """The same of MLflow's API."""
    one, page, count = {}, {}, 0
    with directory() as here, mlflow_api.mlflow_server(here) as url:
        made = load(
            url,
            mlflow_api.new_runs(size.posts),
            connections=size.connections,
            seconds=size.posting_seconds,
        )
        model = mlflow_api.logged_run(url)
        ids: list[str] = []
        for number in size.stored:
            ids += mlflow_api.copy_run(here, model, number - count, first=count)
            count = number
            one[str(number)] = at_rate(url, size, drawn(ids, ids, mlflow_api.one_run))
            page[str(number)] = at_rate(url, size, same(mlflow_api.page_of_runs(_PAGE)))
    return {
        "mlflow_posts_per_second": round(made.per_second, 1),
        "mlflow_read_p99_ms": one,
        "mlflow_list_p99_ms": page,
    }


def measure(size: Size, parts: Sequence[str]) -> Figures:
    """All figures of the parts named."""
    found: Figures = {"benchmark": "service", "cpus": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with postgres() as on_postgres:
        makes: dict[str, Make] = {"sqlite": sqlite, **({"postgres": on_postgres} if on_postgres else {})}
        if "posts" in parts:
            found["posts_per_second"] = {name: posts(size, make) for name, make in makes.items()}
            tell("posts", found["posts_per_second"])
        if "reads" in parts:
            both = {name: reads(size, make) for name, make in makes.items()}
            tell("reads", both)
            found["read_p99_ms"] = {name: one for name, (one, _) in both.items()}
            found["list_p99_ms"] = {name: page for name, (_, page) in both.items()}
        if "passes" in parts:
            found["reconciler_pass_seconds"] = {"running": size.running}
            for name, make in makes.items():
                with directory() as here:
                    url = make("passes", here).url
                    took = pass_seconds(url, here, running=size.running, repeats=size.passes)
                    found["reconciler_pass_seconds"][name] = took
            tell("passes", found["reconciler_pass_seconds"])
    if "streams" in parts:
        found["open_streams"] = streams(size)
        tell("streams", found["open_streams"])
    if "mlflow" in parts:
        found |= beside(size)
    return found


def tell(part: str, found: object) -> None:
    """Says on stderr what was measured so far."""
    print(f"{part}: {json.dumps(found)}", file=sys.stderr, flush=True)


_PARTS = ("posts", "reads", "passes", "streams", "mlflow")


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--small", action="store_true", help="a few of everything: half a minute")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="only these")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    result = measure(_SMALL if args.small else _FULL, args.parts)
    print(json.dumps(result, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
