"""Options of the commands about a trained experiment: scored again, pictures, exports, checkpoints."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from service.cli.option_types import identifier
from trainer.base.commands import positive

# As `trainer.spec.evaluation.MODES` and `trainer.spec.followups.Format` have them, which are slow to import.
MODES = ("single_scale", "multi_scale", "multi_scale_native")
FORMATS = ("mmseg", "safetensors", "torch_export", "onnx", "mlflow")
_CHECKPOINT = "final, best, last or an iteration (final)"
_SOURCES = "an experiment, whose final checkpoint is downloaded, or a final.pth; several with commas between"


def add_trained_options(added: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the flags of each of them."""
    _evaluate(added["evaluate"])
    added["evaluations"].add_argument("id", metavar="ID", type=identifier, help="of the experiment")
    added["evaluations"].add_argument("--limit", type=positive, default=50, help="how many at most (50)")
    _checkpoints(added["checkpoints"])
    _predict(added["predict"])
    _export(added["export"])


def contradiction(given: Mapping[str, Any]) -> str | None:
    """Which of these options cannot be meant together, None if all can."""
    command = given["command"]
    if command == "evaluate" and given["pictures"] is not None and given["against"] is None:
        return "--pictures: are those on which two experiments disagree; allowed: with --against ID"
    if command == "checkpoints" and given["keep"] and not given["prune"]:
        return "--keep: says what --prune leaves; allowed: with --prune"
    if command == "checkpoints" and given["out"] and not given["download"]:
        return "--out: is the file that --download writes; allowed: with --download NAME"
    if command in ("predict", "export"):
        return _unknown(given, "mode", MODES) or _unknown(given, "formats", FORMATS)
    return None


def _unknown(given: Mapping[str, Any], name: str, known: Sequence[str]) -> str | None:
    """The first value of an option that is none of `known`, in words."""
    values = given.get(name) or ()
    for value in (values,) if isinstance(values, str) else values:
        if value not in known:
            return f"--{name.removesuffix('s')}: {value!r} is refused; allowed: {', '.join(known)}"
    return None


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", type=identifier, help="of the experiment")
    text = "single_scale, multi_scale, multi_scale_native, or a mode as JSON; repeat for more (single_scale)"
    parser.add_argument("--mode", action="append", default=[], metavar="M", help=text)
    text = "another data set: its name, or its document as JSON or a file of it (the experiment's own)"
    parser.add_argument("--dataset", metavar="NAME|JSON|FILE", help=text)
    text = "a JSON file: the experiment's class, or null, for each of the data set's"
    parser.add_argument("--class-map", metavar="FILE", help=text)
    parser.add_argument("--checkpoint", metavar="C", help=_CHECKPOINT)
    text = "another experiment: keep the pictures on which they disagree most"
    parser.add_argument("--against", metavar="ID", type=identifier, help=text)
    parser.add_argument("--pictures", type=positive, metavar="N", help="so many of them (8)")
    parser.add_argument("--wait", action="store_true", help="stay until it has ended")
    parser.add_argument("--idempotency-key", metavar="KEY", help="the same key stores it only once")


def _checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", type=identifier, help="of the experiment")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--prune", action="store_true", help="remove all but final and those of --keep")
    text = "remove this one, which may be final; repeat for more"
    either.add_argument("--remove", action="append", default=[], metavar="NAME", help=text)
    either.add_argument("--download", metavar="NAME", help="final, best, last or iter_N, into a file")
    text = "what --prune leaves beside final; repeat for more (best)"
    parser.add_argument("--keep", action="append", default=[], metavar="NAME", help=text)
    parser.add_argument("--out", metavar="FILE", help="of --download (ID-NAME.pth)")


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="ID|FILE", help=f"{_SOURCES}: side by side")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="JPG or PNG")
    parser.add_argument("--out", metavar="DIR", help="where the label maps and overlays go (here)")
    parser.add_argument("--truth", metavar="DIR|FILE", help="the masks, shown beside")
    parser.add_argument("--mode", metavar="M", help=f"one of {', '.join(MODES)}")
    _deployable(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="ID|FILE", help="an experiment, or a final.pth")
    text = f"one of {', '.join(FORMATS)}; repeat for more"
    parser.add_argument("--format", dest="formats", action="append", required=True, metavar="F", help=text)
    text = "a real picture, on which labels are compared; repeat for more"
    parser.add_argument("--picture", dest="pictures", action="append", required=True, metavar="P", help=text)
    parser.add_argument("--out", required=True, metavar="DIR", help="gets a folder for each format")
    _deployable(parser)


def _deployable(parser: argparse.ArgumentParser) -> None:
    text = "of an experiment (final)"
    parser.add_argument("--checkpoint", choices=("final", "best"), default="final", help=text)
