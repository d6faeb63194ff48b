"""Commands about follow-ups: an experiment scored again, and the life of any of them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.experiments import (
    BadArgument,
    follow_log,
    print_items,
    print_json,
    print_table,
    tell,
    told_on_interrupt,
)
from service.client import RebalanceClient
from service.shared.states import State
from trainer.base.documents import MalformedDocument, parse_document
from trainer.base.ends import ExitCode
from trainer.base.text import printable, printable_lines

if TYPE_CHECKING:
    from service.shared.followup_schemas import FollowupPublic


def evaluate(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for another evaluation; with --wait stays for its scores."""
    asked = client.evaluate(args.id, evaluation_document(args), idempotency_key=args.idempotency_key)
    return _wait(args, client, asked) if args.wait else tell(args, asked, asked.state)


def evaluation_document(args: argparse.Namespace) -> dict[str, Any]:
    """What the options ask for; the service judges the values.

    Raises:
        BadArgument: a file cannot be read, or is not JSON.
    """
    document: dict[str, Any] = {}
    if args.mode:
        document["modes"] = [_mode(text) for text in args.mode]
    if args.dataset is not None:
        document["dataset"] = _dataset(args.dataset)
    if args.class_map is not None:
        document["class_map"] = _json_file("--class-map", args.class_map)
    if args.checkpoint is not None:
        document["checkpoint"] = checkpoint_word(args.checkpoint)
    if args.against is not None:
        pictures = {} if args.pictures is None else {"pictures": args.pictures}
        document["disagreement"] = {"against": args.against, **pictures}
    return document


def evaluations(args: argparse.Namespace, client: RebalanceClient) -> int:
    """An experiment's evaluations, newest first."""
    found = client.evaluations(args.id, limit=args.limit)
    if args.json:
        print_items(found)
        return ExitCode.DONE
    from service.cli.tables.followups import evaluations_table

    print_table(evaluations_table(found, datetime.now(UTC)), empty="no evaluations")
    return ExitCode.DONE


def show(args: argparse.Namespace, client: RebalanceClient) -> int:
    """One follow-up with its events."""
    found = client.followup(args.id)
    if args.json:
        print_json(found)
        return ExitCode.DONE
    from service.cli.progress import make_console
    from service.cli.tables.attempts import print_history
    from service.cli.tables.followups import print_followup

    console = make_console()
    print_followup(console, found, client.base_url)
    print_history(console, client.followup_attempts(args.id), client.followup_events(args.id))
    return ExitCode.DONE


def logs(args: argparse.Namespace, client: RebalanceClient) -> int:
    """The job's log; with --follow until it has ended."""
    return follow_log(
        args,
        lambda: client.followup(args.id).state.ended,
        lambda offset: client.followup_logs(args.id, offset=offset, attempt=args.attempt),
    )


def cancel(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for its end; with --wait stays until it has come."""
    found = client.cancel_followup(args.id)
    if args.wait:
        _wait(args, client, found)
        return ExitCode.DONE
    return tell(args, found, f"{found.state}, cancel requested")


def retry(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Asks for another attempt; with --wait stays until it has ended."""
    found = client.retry_followup(args.id)
    if args.wait:
        return _wait(args, client, found)
    return tell(args, found, f"{found.state}, attempt {found.attempt}")


def checkpoint_word(text: str) -> str | int:
    """As a request has it: an iteration is a number."""
    digits = text.removeprefix("iter_")
    return int(digits) if digits.isascii() and digits.isdecimal() else text


def _wait(args: argparse.Namespace, client: RebalanceClient, found: FollowupPublic) -> int:
    """Follows to the end on stderr, then prints the result on stdout."""
    what = "the cancel still stands" if found.cancel_requested_at else f"the {found.kind} goes on"
    told = None
    with told_on_interrupt(f"{what}: rebalance show {found.id}"):
        for newest in client.follow_followup(found.id):
            found = newest
            if (found.state, found.attempt) != told:
                told = (found.state, found.attempt)
                again = f" (attempt {found.attempt})" if found.attempt > 1 else ""
                print(f"{found.id}  {found.name}: {found.state}{again}", file=sys.stderr)
    _print_result(args, found)
    for notice in found.notices:
        print(f"{found.id} notice: {printable(notice.text)}", file=sys.stderr)
    if found.error is not None:
        text = printable_lines(f"{found.error.type}: {found.error.message}")
        print(f"{found.id} {found.state}: {text}", file=sys.stderr)
    return ExitCode.DONE if found.state is State.COMPLETED else ExitCode.FAILED


def _print_result(args: argparse.Namespace, found: FollowupPublic) -> None:
    if args.json:
        print_json(found)
    elif found.scores:
        from service.cli.tables.experiments import headline_text

        for mode, headline in found.scores.items():
            print(f"{found.id}  {printable(mode)}: {headline_text(headline)}")


def _mode(text: str) -> Any:
    return _json("--mode", text) if text.lstrip().startswith("{") else text


def _dataset(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return _json("--dataset", text)
    is_file = text.endswith(".json") or "/" in text or Path(text).is_file()
    return _json_file("--dataset", text) if is_file else text


def _json_file(option: str, name: str) -> Any:
    try:
        return _json(option, Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadArgument(f"{option}: cannot read {name} ({error.strerror}); allowed: a JSON file") from None
    except UnicodeDecodeError as error:
        raise BadArgument(f"{option}: {name} is not UTF-8 at byte {error.start}; allowed: JSON") from None


def _json(option: str, text: str) -> Any:
    try:
        return parse_document(text.encode(errors="surrogateescape"))
    except MalformedDocument as error:
        raise BadArgument(f"{option}: {text[:80]!r} is refused ({error}); allowed: JSON") from None
