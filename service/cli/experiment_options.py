"""Options of the commands that ask the API about experiments."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from service.cli.again.options import add_reuse_option
from service.cli.option_types import identifier
from trainer.base.commands import positive


def add_experiment_options(added: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the flags of each, by the command's name."""
    _of_submit_and_list(added)
    for name in ("show", "logs", "cancel", "pause", "resume", "retry"):
        added[name].add_argument("id", metavar="ID", type=identifier)
    for name in ("cancel", "retry"):
        added[name].add_argument("--wait", action="store_true", help="stay until it has ended")
    added["logs"].add_argument("-f", "--follow", action="store_true", help="stay until it has ended")
    added["logs"].add_argument("--attempt", type=positive, metavar="N", help="only this attempt")
    text = "none: whatever has not ended, until Ctrl-C"
    added["watch"].add_argument("id", metavar="ID", type=identifier, nargs="*", help=text)
    added["queue"].add_argument("--limit", type=_at_most_1000, default=100, help="so many at most (100)")
    added["compare"].add_argument("id", metavar="ID", type=identifier, nargs="+")
    added["track"].add_argument("id", metavar="ID", type=identifier, nargs="+")
    added["compare"].add_argument("--classes", action="store_true", help="also class by class: IoU, Remark 1")
    added["compare"].add_argument("--mode", metavar="MODE", help="way of scoring (the reference's first)")
    text = "of all pixels, or of single pictures with head, body and tail by pictures (headline)"
    added["compare"].add_argument("--scores", choices=("headline", "picture"), help=text)
    text = "mmsegmentation's configurations with all of these words; nobody is asked"
    added["models"].add_argument("--search", metavar="TEXT", help=text)


def add_whose(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of lists that say whose is listed."""
    text = "only what was stored with your token"
    parser.add_argument("--mine", action="append_const", dest="owner", const="@me", default=[], help=text)
    text = "only what was stored with a token of this name; repeat for more"
    parser.add_argument("--owner", action="append", default=[], metavar="NAME", help=text)
    parser.add_argument("--project", action="append", default=[], help="only this project; repeat for more")


def _at_most_1000(text: str) -> int:
    number = positive(text)
    if number > 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: 1 to 1000")
    return number


def _of_submit_and_list(added: Mapping[str, argparse.ArgumentParser]) -> None:
    added["submit"].add_argument("spec", metavar="SPEC.json", help="the spec's file; - for stdin")
    either = added["submit"].add_mutually_exclusive_group()
    either.add_argument("--validate-only", action="store_true", help="only say what it would be")
    either.add_argument("--wait", action="store_true", help="stay until it has ended")
    add_reuse_option(added["submit"], "spec")
    added["submit"].add_argument("--idempotency-key", metavar="KEY", help="the same key stores it only once")
    for name in ("state", "method", "dataset", "tag"):
        text = f"only this {name}; repeat for more" if name != "tag" else "only with KEY or KEY:VALUE"
        added["list"].add_argument(f"--{name}", action="append", default=[], help=text)
    add_whose(added["list"])
    added["list"].add_argument("--limit", type=positive, default=50, help="how many at most (50)")
    text = "only its trials; repeat for more"
    added["list"].add_argument(
        "--sweep", action="append", default=[], type=identifier, metavar="ID", help=text
    )
