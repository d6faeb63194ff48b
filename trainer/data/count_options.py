"""The flags of `python -m trainer.count`, which `rebalance frequencies` takes as well."""

from __future__ import annotations

import argparse
from pathlib import Path

ABOUT = "pixels and pictures per class of a data set, and how imbalanced they are"
FIGURE_SUFFIXES = (".png", ".svg")
_DATASET = """digit_scenes; camvid, ade20k, cocostuff164k, cocostuff10k or folder with --root DIR; or the
    directory of a folder data set. With --table: a packaged table, or a CSV file"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    parser.add_argument("dataset", metavar="DATASET", help=_DATASET)
    parser.add_argument("--table", action="store_true", help="show a table of counts instead of counting")
    parser.add_argument("--root", type=Path, metavar="DIR", help="where the data set lies, or data:NAME")
    named = "what --root data:NAME is here (repeatable; REBALANCE_DATA_ROOTS)"
    parser.add_argument("--data-root", metavar="NAME=DIR", action="append", help=named)
    parser.add_argument("--split", metavar="NAME", help="by default the one that is trained on")
    parser.add_argument(
        "--zero-is-void", action="store_true", help="of a folder: see zero_is_void of its spec"
    )
    by_id = "of a folder: label_map of its spec, as JSON"
    parser.add_argument("--label-map", metavar="JSON", help=by_id)
    parser.add_argument("--processes", type=_positive, metavar="N", help="that count (one for each core)")
    ray = "count as tasks of Ray: of a cluster of our own, or of the one at ADDRESS"
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help=ray)
    parser.add_argument("--write", type=Path, metavar="FILE.csv", help="write the counts as a table")
    figure = "draw both frequencies, sorted: FILE.png or FILE.svg"
    parser.add_argument("--figure", type=_figure, metavar="FILE", help=figure)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    kept = "of `rebalance serve`: what was counted is kept there (~/.rebalance)"
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=kept)


def _positive(text: str) -> int:
    value = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: a whole number from 1 to 1024")
    return value


def _figure(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: {' or '.join(FIGURE_SUFFIXES)}")
    return path
