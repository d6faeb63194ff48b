"""Options of the commands that ask for more of what was run before."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping

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


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: a number above 0")
    return number
