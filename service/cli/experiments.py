"""What each command that asks the API does: a function from parsed arguments to an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.client.client import POLL_SECONDS, ApiUnreachable, RebalanceClient
from service.shared.endpoints import DEFAULT_API, FILE_NAME, find_api
from service.shared.states import State
from trainer.base.ends import ExitCode
from trainer.base.text import printable, printable_lines
from trainer.spec.evaluation import SINGLE_SCALE

LIST_FILTERS = ("state", "method", "dataset", "tag", "sweep", "owner", "project")

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.client.client import LogPiece
    from service.shared.followup_schemas import FollowupPublic
    from service.shared.schemas import ExperimentPublic
    from service.shared.sweep_schemas import SweepPublic


class BadArgument(ValueError):
    """An argument that the parser could not judge: a file that is not there."""


def api_of(args: argparse.Namespace) -> str:
    """The API's address: --api, --data-dir's endpoints.json, REBALANCE_API, REBALANCE_DATA_DIR's, the usual.

    Raises:
        ApiUnreachable: a directory was named, and nothing is served from it.
    """
    if args.api:
        return str(args.api)
    named = args.data_dir
    if named is None and (from_environment := os.environ.get("REBALANCE_API")):
        return from_environment
    directory = named or os.environ.get("REBALANCE_DATA_DIR")
    if directory is None:
        return find_api() or DEFAULT_API
    found = find_api([Path(directory)])
    if found is None:
        raise ApiUnreachable(
            f"{Path(directory) / FILE_NAME} names no API: start `rebalance serve --data-dir {directory}`"
        )
    return found


def submit(args: argparse.Namespace, client: RebalanceClient) -> int:
    """POSTs a spec, or only asks what it would be; with --wait stays until the experiment has ended."""
    if args.validate_only:
        return _preview(args, client)
    text, key = read_spec(args.spec), args.idempotency_key
    stored = client.submit(text, idempotency_key=key, reuse=args.reuse)
    again = f", the same as {stored.duplicate_of}" if stored.duplicate_of else ""
    return follow_to_end(args, client, stored) if args.wait else tell(args, stored, stored.state + again)


def _preview(args: argparse.Namespace, client: RebalanceClient) -> int:
    """0 where it could be stored now."""
    preview = client.preview(read_spec(args.spec))
    if args.json:
        print_json(preview)
    else:
        from service.cli.tables.experiments import preview_lines

        print(printable_lines("\n".join(preview_lines(preview))))
    return ExitCode.BAD_INPUT if preview.problems else ExitCode.DONE


def list_(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Experiments, newest first."""
    for each in args.sweep:
        client.sweep(each, trials=0)  # a list of no sweep's trials would only be empty
    narrowed = {name: getattr(args, name) for name in LIST_FILTERS}
    found = client.experiments(**narrowed, limit=args.limit)
    if args.json:
        print_items(found)
        return 0
    from service.cli.tables.experiments import experiments_table

    print_table(experiments_table(found, datetime.now(UTC)), empty="no experiments")
    return 0


def logs(args: argparse.Namespace, client: RebalanceClient) -> int:
    """The job's log; with --follow until the experiment has ended."""
    if args.follow and args.attempt is None:
        for text in client.log_as_written(args.id):
            _print_log(text.encode(), as_json=args.json)
        return 0
    return follow_log(
        args,
        lambda: client.experiment(args.id).state.ended,
        lambda offset: client.logs(args.id, offset=offset, attempt=args.attempt),
    )


def follow_log(
    args: argparse.Namespace, has_ended: Callable[[], bool], piece_from: Callable[[int], LogPiece]
) -> int:
    """Prints a log, with --follow up to what was written when it had ended."""
    offset, pending = 0, b""
    while True:
        ended = not args.follow or has_ended()  # asked first: the log's end counts
        piece = piece_from(offset)
        offset = piece.next_offset
        whole, newline, pending = (pending + piece.content).rpartition(b"\n")
        _print_log(whole + newline, as_json=args.json)
        if ended and not piece.content:
            _print_log(pending, as_json=args.json)
            return 0
        if not piece.content:
            time.sleep(POLL_SECONDS)


def compare(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Completed experiments side by side."""
    found = client.comparison_document(args.id, args.mode)
    if args.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    from service.cli.progress import make_console
    from service.cli.tables.comparisons import (
        classes_table,
        comparison_table,
        correlation_table,
        pictures_table,
        remark_tables,
    )

    console = make_console()
    if found["mode"] != SINGLE_SCALE:
        console.print(found["mode"], markup=False)
    console.print(pictures_table(found) if args.scores == "picture" else comparison_table(found))
    if args.classes:
        console.print(classes_table(found), correlation_table(found), *remark_tables(found))
    for note in found["notes"]:
        console.print(f"note: {printable(note)}", markup=False)
    return 0


def cancel(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for an experiment's end; with --wait stays until it has come."""
    experiment = client.cancel(args.id)
    if args.wait:
        follow_to_end(args, client, experiment)
        return 0
    return tell(args, experiment, f"{experiment.state}, cancel requested")


def retry(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for another attempt; with --wait stays until it has ended."""
    experiment = client.retry(args.id)
    if args.wait:
        return follow_to_end(args, client, experiment)
    return tell(args, experiment, f"{experiment.state}, attempt {experiment.attempt}")


def follow_to_end(args: argparse.Namespace, client: RebalanceClient, experiment: ExperimentPublic) -> int:
    """Follows to the end on stderr, then prints the result on stdout."""
    from service.cli.progress import ProgressView, make_console
    from service.cli.tables.experiments import headline_text, notice_text

    what = "the cancel still stands" if experiment.cancel_requested_at else "the experiment goes on"
    with (
        told_on_interrupt(f"{what}: rebalance show {experiment.id}"),
        ProgressView(make_console(stderr=True)) as view,
    ):
        for newest in client.follow(experiment.id):
            experiment = newest
            view.update(experiment)
    if args.json:
        print_json(experiment)
    elif experiment.headline is not None:
        print(f"{experiment.id}  {experiment.name}: {experiment.state}  {headline_text(experiment.headline)}")
    for notice in experiment.notices:
        print(f"{experiment.id} notice: {printable(notice_text(notice))}", file=sys.stderr)
    if experiment.error is not None:
        told = printable_lines(f"{experiment.error.type}: {experiment.error.message}")
        print(f"{experiment.id} {experiment.state}: {told}", file=sys.stderr)
    return 0 if experiment.state is State.COMPLETED else ExitCode.FAILED


@contextmanager
def told_on_interrupt(text: str) -> Iterator[None]:
    """Ctrl-C ends this command alone: `text`, on stderr, says so."""
    try:
        yield
    except KeyboardInterrupt:
        print(text, file=sys.stderr)
        raise


def read_spec(name: str) -> str:
    """The text of a file, or of stdin for "-"; sent as it is, for the service says what is wrong with it."""
    try:
        return _stdin().decode() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise BadArgument(
            f"SPEC: cannot read {name} ({error.strerror}); allowed: a JSON file, or - for stdin"
        ) from None
    except UnicodeDecodeError as error:
        raise BadArgument(
            f"SPEC: {name} is not UTF-8 at byte {error.start}; allowed: JSON in UTF-8"
        ) from None


def _stdin() -> bytes:
    """All of it, as it came: JSON is UTF-8, whatever the terminal's encoding."""
    stream = getattr(sys.stdin, "buffer", None)
    return stream.read() if stream is not None else sys.stdin.read().encode()


def _print_log(content: bytes, *, as_json: bool) -> None:
    if not content:
        return
    if as_json:
        for line in content.decode("utf-8", errors="replace").splitlines():
            print(json.dumps({"line": line}, ensure_ascii=False))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def tell(args: argparse.Namespace, answer: ExperimentPublic | SweepPublic | FollowupPublic, text: str) -> int:
    """Exit code 0, once the answer is told: all of it with --json, else a line that ends in `text`."""
    if args.json:
        print_json(answer)
    else:
        print(f"{answer.id}  {answer.name}: {text}")
    return ExitCode.DONE


def print_json(answer: BaseModel) -> None:
    """One answer of the API as it came."""
    print(answer.model_dump_json(indent=1, by_alias=True))


def print_items(items: Iterable[BaseModel]) -> None:
    """The same shape as the API's lists; all pages are in it."""
    document = {"items": [item.model_dump(mode="json", by_alias=True) for item in items], "next_cursor": None}
    print(json.dumps(document, indent=1, ensure_ascii=False))


def print_table(table: Any, *, empty: str) -> None:
    """A table on stdout, or the words for one without rows."""
    from service.cli.progress import make_console

    if table.row_count:
        make_console().print(table)
    else:
        print(empty)
