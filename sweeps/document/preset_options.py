"""The options of a preset, the same for `rebalance reproduce` and `python -m sweeps.job --preset`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sweeps.document.presets import PRESETS, preset_sweep
from trainer.base.commands import positive
from trainer.base.errors import Problem, SpecError
from trainer.spec.evaluation import MODES

_DEPTH = 2  # of the fields that --set may set: /schedule/iterations
_OF_THE_TABLE = {"method": "the table", "recipe": "--rows", "seed": "--seeds"}  # what decides it


def add_preset_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--rows`, `--seeds`, `--iterations`, `--variant`, `--weights`, `--modes`, `--cpu` and `--set`."""
    group = parser.add_argument_group("of the table", "What is left out is the paper's.")
    group.add_argument(
        "--rows", metavar="ROW,ROW", help="of tables 3, 4 and 7: only these (see `rebalance recipes`)"
    )
    group.add_argument("--seeds", type=positive, default=3, metavar="N", help="0 to N - 1 (3)")
    group.add_argument("--iterations", type=positive, metavar="N", help="instead of the recipe's or model's")
    group.add_argument("--variant", choices=("paper", "mmseg"), help="of the recipes")
    group.add_argument("--weights", metavar="NAME", help="`none` trains from scratch; else the recipe's")
    text = "how it is scored, the first for curves and ranks (single_scale)"
    group.add_argument("--modes", type=_modes, metavar="MODE,MODE", help=text)
    group.add_argument("--cpu", action="store_true", help="train on CPUs, which recipes do not unasked")
    text = "any field of the spec, such as /schedule/crop_size=[64,64]; repeat for more"
    group.add_argument(
        "--set", action="append", default=[], type=_assignment, metavar="POINTER=JSON", help=text
    )


def preset_defaults() -> dict[str, Any]:
    """What the options are where none was given, by name."""
    parser = argparse.ArgumentParser()
    add_preset_options(parser)
    return vars(parser.parse_args([]))


def preset_document(args: argparse.Namespace, *, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """The sweep that the options describe.

    Args:
        base: what else is known of the experiment, such as its data set.

    Raises:
        SpecError: no such preset or row, or --set of a field that cannot be set so.
    """
    document: dict[str, Any] = dict(base or {})
    for pointer, value in args.set:
        _put(document, pointer, value)
    for pointer, given in (
        ("/schedule/iterations", args.iterations),
        ("/variant", args.variant),
        ("/weights", args.weights),
        ("/evaluation/modes", args.modes),
        ("/resources/gpus_per_worker", 0 if args.cpu else None),
    ):
        if given is not None:
            _put(document, pointer, given)
    rows = [] if args.rows is None else [row.strip() for row in args.rows.split(",")]
    return preset_sweep(args.preset, seeds=range(args.seeds), rows=rows, base=document)


def preset_names() -> str:
    """All of them, for a help text."""
    return ", ".join(PRESETS)


def _put(document: dict[str, Any], pointer: str, value: Any) -> None:
    *parents, last = pointer.removeprefix("/").split("/")
    first = [*parents, last][0]
    if pointer.startswith("/") and first in _OF_THE_TABLE:
        got = f"{pointer!r} cannot be set: {_OF_THE_TABLE[first]} decides it"
        raise SpecError((Problem("/set", got, "a field such as /schedule/iterations"),))
    if not pointer.startswith("/") or len(parents) >= _DEPTH or not last:
        raise SpecError(
            (Problem("/set", f"{pointer!r} cannot be set", "a field such as /schedule/iterations"),)
        )
    for parent in parents:
        document = document.setdefault(parent, {})
        if not isinstance(document, dict):
            raise SpecError(
                (Problem("/set", f"{pointer!r} is inside what is set as a whole", "one way for each field"),)
            )
    document[last] = value


def _modes(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(MODES) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: each once of {', '.join(MODES)}")
    return names


def _assignment(text: str) -> tuple[str, Any]:
    pointer, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: POINTER=JSON")
    try:
        return pointer, json.loads(value)
    except ValueError:
        return pointer, value  # a text without quotes
