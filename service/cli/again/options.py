"""Options of the commands that ask for more of what was run before."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from typing import Any

from service.cli.option_types import identifier
from trainer.base.commands import positive

_RATES = ("rescaled", "constant", "rewarmed")  # trainer.spec.longer's, which would load the catalogues


def add_again_options(added: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the flags of each, by the command's name."""
    extend = added["extend"]
    extend.add_argument("id", metavar="ID", type=identifier)
    extend.add_argument("--iterations", type=positive, metavar="N", required=True, help="so many more")
    text = "of the learning rate: as if the sum had been asked for, held, or the schedule anew (rescaled)"
    extend.add_argument("--rate", choices=_RATES, default=_RATES[0], help=text)
    text = "that --rate constant holds (the mean over the last tenth of what was trained)"
    extend.add_argument("--learning-rate", type=_rate, metavar="RATE", help=text)
    extend.add_argument("--idempotency-key", metavar="KEY", help="the same key stores it only once")
    extend.add_argument("--wait", action="store_true", help="stay until it has ended")


def add_sweep_extend_options(parser: argparse.ArgumentParser) -> None:
    """Those of `rebalance sweep extend`, its table's format aside."""
    parser.add_argument("id", metavar="ID", type=identifier)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--seeds", type=positive, metavar="N", help="so many more, for each row")
    either.add_argument("--seed", type=int, action="append", metavar="SEED", help="this one; repeat for more")
    text = "more values of a grid, as JSON: /method/lambda=0.5,1.0; repeat for more"
    parser.add_argument(
        "--axis", type=_axis, action="append", default=[], metavar="POINTER=VALUES", help=text
    )
    parser.add_argument("--trials", type=positive, metavar="N", help="so many more draws (random, optuna)")
    parser.add_argument("--wait", action="store_true", help="stay for its table")


def add_reuse_option(parser: argparse.ArgumentParser, what: str) -> None:
    """`--reuse` of a command that submits."""
    text = f"take an earlier one of the same {what}, code and data, if there is one"
    parser.add_argument("--reuse", action="store_true", help=text)


def _axis(text: str) -> tuple[str, list[Any]]:
    pointer, equals, values = text.partition("=")
    try:
        found = json.loads(f"[{values}]")
    except ValueError:
        found = []
    if not equals or not found:
        allowed = 'a pointer, = and values as JSON, such as /method/lambda=0.5,1.0 or /model="small"'
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: {allowed}")
    return pointer, found


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: a number above 0")
    return number
