"""The flags of `python -m trainer.weights`, which `rebalance weights` takes as well."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.weights.layouts import LAYOUTS

ABOUT = "pretrained weights: what there is, and what lies in the storage"
_ACTIONS = {
    "list": "published weights and your own, and which of them lie in the storage",
    "fetch": "download published weights; goes on where an earlier download broke off",
    "add": "copy a file of weights into the storage",
    "verify": "read the files in the storage again, and compare them with their SHA-256",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    added = {name: actions.add_parser(name, help=text, description=text) for name, text in _ACTIONS.items()}
    added["fetch"].add_argument("names", metavar="NAME", nargs="+", help="see `rebalance weights list`")
    added["add"].add_argument("file", metavar="FILE", type=Path, help="as torch.save has written it")
    name = "in specs and lists (of a published file its own, else the file's)"
    added["add"].add_argument("--name", metavar="NAME", help=name)
    layouts = "; ".join(f"{name}: {text}" for name, text in LAYOUTS.items())
    added["add"].add_argument(
        "--layout", choices=LAYOUTS, help=f"whose names its tensors have (mmseg). {layouts}"
    )
    added["verify"].add_argument("names", metavar="NAME", nargs="*", help="(all that lie there)")
    for each in added.values():
        where = each.add_mutually_exclusive_group()
        kept = "of `rebalance serve`: its storage (~/.rebalance)"
        where.add_argument("--data-dir", type=Path, metavar="DIR", help=kept)
        where.add_argument(
            "--storage", type=Path, metavar="DIR", help="that jobs share; or REBALANCE_STORAGE"
        )
        each.add_argument("--json", action="store_true", help="machine-readable output")
