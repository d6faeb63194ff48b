"""`python -m trainer.count DATASET`: pixels and pictures per class, as a table, a file and a figure.

Counting processes import this file again, so what is heavy is imported where it is used.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.base.commands import ended_by_sigterm, terminate, usual_storage
from trainer.base.ends import ExitCode
from trainer.base.errors import DataError, RegionRebalanceError
from trainer.base.text import make_streams_printable
from trainer.data.count_options import ABOUT, add_options
from trainer.data.tally import Chunks, Tally, count_chunk

if TYPE_CHECKING:
    from rich.console import Console

    from trainer.data.frequency import ChunkCounter
    from trainer.data.frequency_tables import FrequencyTable
    from trainer.data.labels.facts import LabelFacts
    from trainer.spec.data.label_map import LabelMap
    from trainer.storage.notices import Notice

_PLAIN_WIDTH = 160  # columns, where nobody's window says
_TASKS_PER_CPU = 2  # that wait in Ray at a time
_PATIENCE = 10.0  # seconds, with a cluster that does not answer


class RayFailed(RegionRebalanceError):
    """No cluster could be reached or started, or a task of it ended without an answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 not counted or not written, 2 bad input, 130 interrupted, 143 terminated."""
    parser = argparse.ArgumentParser(prog="python -m trainer.count", description=ABOUT)
    add_options(parser)
    make_streams_printable()
    options = parser.parse_args(arguments)
    make_streams_printable(utf8=options.json)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        _refuse_contradictions(options)
        with ended_by_sigterm():
            return _run(options)
    except RegionRebalanceError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_INPUT if isinstance(error, DataError) else ExitCode.FAILED
    except BrokenPipeError:  # the reader, such as `head`, has gone: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        named = error.filename2 or error.filename  # of a rename, where to
        print(f"{named}: {error.strerror}" if named else error, file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def count_with_ray(chunks: Chunks, ids: LabelMap) -> Iterator[Tally]:
    """A tally of each chunk as it is done, counted by tasks of the cluster that `ray.init` was called for.

    Its nodes must see the masks under the same paths. See `frequency.count(…, count_chunks=…)`.

    Raises:
        RayFailed: a task ended without an answer.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=3)(count_chunk)
    most = _TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: list[Any] = []
    try:
        for chunk in chunks:
            if len(waiting) >= most:
                done, waiting = ray.wait(waiting)
                yield from ray.get(done)
            waiting.append(task.remote(chunk, ids))
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from ray.get(done)
    except ray.exceptions.RayError as error:
        raise RayFailed(f"Ray: {error}") from error


def _refuse_contradictions(options: argparse.Namespace) -> None:
    counting = ("root", "data_root", "split", "processes", "ray", "data_dir", "label_map")
    given = [f"--{name.replace('_', '-')}" for name in counting if getattr(options, name) is not None]
    given += ["--zero-is-void"] * options.zero_is_void
    if options.table and given:
        raise DataError(f"{', '.join(given)}: not with --table, which shows what was counted")
    if options.ray is not None and options.ray != "local" and options.processes is not None:
        raise DataError(f"--processes: not with a cluster that is already running ({options.ray})")


def _run(options: argparse.Namespace) -> int:
    from trainer.data.frequency_tables import FrequencyTable, write_table
    from trainer.data.frequency_view import summary
    from trainer.data.labels.notices import label_notices

    if options.figure is not None:
        _require_charts()
    facts: dict[str, Any]
    notices: Sequence[Notice] = ()
    if options.table:
        table, facts = _read(options.dataset), {"table": options.dataset}
        title = options.dataset
    else:
        labels, title = _count(options)
        counted = labels.train.frequencies
        table = FrequencyTable(labels.classes, counted.pixel, counted.region)
        facts = {"dataset": title, "split": labels.train.split, "images": counted.images}
        notices = label_notices(labels)
        facts["notices"] = [each.model_dump() for each in notices]
        title = f"{title}, {labels.train.split}: {counted.images} pictures"
    if options.write is not None:
        write_table(options.write, table)
    if options.figure is not None:
        from trainer.figures.frequency_figure import write_frequency_figure

        write_frequency_figure(options.figure, table, title=title, dataset=options.dataset)
    lines = [f"notice: {each}" for each in notices]
    _show(table, facts, [title, *summary(table), *lines], as_json=options.json)
    return 0


def _read(name: str) -> FrequencyTable:
    from trainer.data.frequency_tables import packaged_names, packaged_table, read_table

    return packaged_table(name) if name in packaged_names() else read_table(Path(name))


def _count(options: argparse.Namespace) -> tuple[LabelFacts, str]:
    """What was counted, and the data set's name."""
    from trainer.base.data_roots import told_place
    from trainer.data.frequency import count
    from trainer.data.labels.facts import LabelFacts
    from trainer.data.mask_layouts import find_masks, name_and_root
    from trainer.storage.layout import Storage

    variable = os.environ.get("REBALANCE_DATA_ROOTS", "")
    dataset, root = name_and_root(options.dataset, told_place(options.root, options.data_root, variable))
    storage = Storage.at(usual_storage(options.data_dir))
    console = _console(sys.stderr)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    masks = find_masks(dataset, root, options.split, storage=storage, say=say)
    if options.zero_is_void or options.label_map is not None:
        masks = replace(masks, label_map=_asked_map(options, dataset, len(masks.classes)))
    processes = options.processes or len(os.sched_getaffinity(0))
    with _progress(console, len(masks.masks)) as advance, contextlib.ExitStack() as stack:
        counter = None if options.ray is None else _ray_counter(options.ray, processes, stack)
        counted = count(masks, storage, processes=processes, count_chunks=counter, advance=advance)
    facts = LabelFacts(dataset, masks.classes, counted, label_map=masks.label_map)
    return facts, dataset if dataset != "folder" else str(root)


def _asked_map(options: argparse.Namespace, dataset: str, num_classes: int) -> LabelMap | None:
    """What the flags make of the ids in masks, as the same fields of a spec do."""
    from trainer.data.folders import label_problems
    from trainer.spec.data.datasets import Folder
    from trainer.spec.data.label_map import asked_map

    if dataset != "folder":
        raise DataError(f"--zero-is-void, --label-map: not with {dataset}, whose ids are known")
    if options.zero_is_void and options.label_map is not None:
        raise DataError("--zero-is-void: is given beside --label-map; allowed: one of the two")
    try:
        given = None if options.label_map is None else json.loads(options.label_map)
        folder = Folder(root="/", zero_is_void=options.zero_is_void, label_map=given)
    except (ValueError, RecursionError):
        allowed = 'a JSON object of ids and their classes, null for void, such as {"0": null, "1": 0, "2": 1}'
        raise DataError(f"--label-map: {options.label_map[:80]!r} is refused; allowed: {allowed}") from None
    if problems := [str(problem) for problem in label_problems(folder, num_classes)]:
        raise DataError("; ".join(problems))
    return asked_map(folder, num_classes)


def _ray_counter(address: str, processes: int, stack: contextlib.ExitStack) -> ChunkCounter:
    """`count_with_ray`, connected on the first call: what was counted before needs no cluster."""

    def counter(chunks: Chunks, ids: LabelMap) -> Iterator[Tally]:
        stack.enter_context(_ray(address, processes))
        return count_with_ray(chunks, ids)

    return counter


def _require_charts() -> None:
    from importlib.util import find_spec

    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise DataError("--figure needs altair and vl-convert-python; they come with region-rebalance[train]")


def _show(table: FrequencyTable, facts: dict[str, Any], lines: Sequence[str], *, as_json: bool) -> None:
    from trainer.data.frequency_view import document, terminal_table

    if as_json:
        print(json.dumps(document(table, facts), indent=1, ensure_ascii=False), flush=True)
        return
    console = _console(sys.stdout)
    with console.capture() as shown:  # printing itself, Rich would exit with 1 where the reader has gone
        console.print(terminal_table(table))
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
    print(shown.get(), end="", flush=True)


def _console(stream: Any) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal; what it is told, it shows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("masks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("masks", total=total)
        yield lambda masks: bar.advance(task, masks)


@contextlib.contextmanager
def _ray(address: str, processes: int) -> Iterator[None]:
    """Connected to the cluster at `address`; "local" starts one, which is stopped at the end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    own = {"num_cpus": processes, "include_dashboard": False} if address == "local" else {}
    try:
        _knock(address)
        ray.init(address=address, logging_level="error", **own)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise RayFailed(f"Ray at {address!r}: {error}") from error
    signal.signal(signal.SIGTERM, terminate)  # Ray has put its own handler over ours
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at a HOST:PORT: Ray would try again for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


if __name__ == "__main__":
    sys.exit(main())
