"""What the command lines of both jobs share: flags, what they accept, and the storage they name."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args
from urllib.parse import urlsplit

from trainer.base.data_roots import DataRoot, parse_root
from trainer.base.ends import ExitCode, RunStatus
from trainer.spec.capacity import parse_machines
from trainer.spec.recipes import Machines
from trainer.storage.layout import Storage

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")  # names a directory
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
_DEFAULT_STORAGE = "~/.rebalance/storage"


def add_tracking_options(parser: argparse.ArgumentParser) -> None:
    """--storage and --mlflow-uri."""
    parser.add_argument(
        "--storage",
        default=os.environ.get("REBALANCE_STORAGE", _DEFAULT_STORAGE),
        help="shared by all nodes (default: REBALANCE_STORAGE, or %(default)s)",
    )
    parser.add_argument("--mlflow-uri", default=os.environ.get("MLFLOW_TRACKING_URI"))


def add_resend_options(parser: argparse.ArgumentParser) -> None:
    """Those of a command that sends everything to MLflow again."""
    add_tracking_options(parser)
    text = "the run's in the end (default: what the newest report says; without one the run stays open)"
    parser.add_argument("--status", choices=get_args(RunStatus), help=text)
    parser.add_argument(
        "--number", type=attempt_number, help="of the service's request; nobody else gives one"
    )


def refuse_no_mlflow(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends a command that sends to an MLflow that is not named."""
    if not options.mlflow_uri:
        parser.error("--mlflow-uri: is missing; allowed: an MLflow server's address, or MLFLOW_TRACKING_URI")


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """The same, --data-root and --max-cluster."""
    add_tracking_options(parser)
    parser.add_argument(
        "--data-root",
        action="append",
        type=data_root,
        metavar="[NAME=]DIR",
        help="data must lie in one of these (repeatable; default: anywhere); `data:NAME` in a spec is DIR",
    )
    _add_capacity_option(parser)


def _add_capacity_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-cluster",
        type=max_cluster,
        metavar="gpus=N,cpus=N",
        help="what the cluster may grow to: what fits waits for nodes (default: what it has)",
    )


def parse_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; ends the process with a line where they are wrong.

    MLflow's address may name nobody: it is kept in plan.json, and shown in lists of processes.
    """
    options = parser.parse_args(arguments)
    parts = urlsplit(options.mlflow_uri or "")
    if parts.username or parts.password:
        parser.error("--mlflow-uri: no user or password; set MLFLOW_TRACKING_USERNAME and …_PASSWORD")
    return options


def identifier(text: str) -> str:
    """An id as a flag has it: the name of a directory in storage."""
    if not _ID.fullmatch(text):
        wanted = "1 to 64 letters, digits, '.', '_' or '-', the first of them no '.'"
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: {wanted}")
    return text


def attempt_number(text: str) -> int:
    """The number of an attempt as a flag has it."""
    if not _ATTEMPT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: an integer >= 1")
    return int(text)


def max_cluster(text: str) -> Machines:
    """What a cluster may become, as a flag has it."""
    try:
        return parse_machines(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def data_root(text: str) -> DataRoot:
    """A data root as a flag has it."""
    try:
        return parse_root(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def mlflow_tag(text: str) -> tuple[str, str]:
    """A tag as a flag has it."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: KEY=VALUE")
    return key, value


def storage_at(text: str) -> Storage:
    """The storage that `--storage` names; ends the process with a line where there can be none."""
    try:
        return Storage.at(text)
    except (OSError, RuntimeError) as error:  # nobody's home directory; links in a circle
        _refuse_storage(text, str(error))


def make_storage(storage: Storage) -> None:
    """Creates the directory where there is none; ends the process with a line where that cannot be."""
    root = storage.root
    try:
        storage.folder.make()
    except FileExistsError:
        _refuse_storage(root, "is not a directory")
    except OSError as error:
        _refuse_storage(root, f"cannot be made: {error.strerror}")
    if not os.access(root, os.W_OK | os.X_OK):
        _refuse_storage(root, "cannot be written to")


def _refuse_storage(path: str | Path, got: str) -> NoReturn:
    print(f"--storage: {path}: {got}; allowed: a directory that can be written to", file=sys.stderr)
    sys.exit(ExitCode.BAD_INPUT)
