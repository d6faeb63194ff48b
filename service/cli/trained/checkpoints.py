"""Commands with an experiment's checkpoints: which there are, and what is done with one on this machine."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from service.cli.experiments import BadArgument, api_of, print_items, print_json, print_table
from service.cli.failure import fail
from service.cli.trained.followups import checkpoint_word
from service.cli.trained.programs import run_program
from service.client import RebalanceClient
from trainer.base.ends import ExitCode


class Source(NamedTuple):
    """Where a checkpoint comes from: a file, or an experiment; and what it is called beside others."""

    text: str
    is_file: bool
    name: str | None

    @classmethod
    def of(cls, text: str) -> Source:
        """What a word of the command line means: ID, FILE, either with =NAME behind.

        Raises:
            BadArgument: it is blank.
        """
        whole, equals, name = text.rpartition("=")
        if not equals or Path(text).exists():  # a file's own name may have one
            whole, name = text, ""
        if not whole.strip():
            raise BadArgument(f"{text!r} is refused; allowed: ids or files, with commas between")
        is_file = whole.endswith(".pth") or "/" in whole or Path(whole).is_file()
        return cls(whole, is_file, name or (None if is_file else whole))


def checkpoints(args: argparse.Namespace, client: RebalanceClient) -> int:
    """Lists them, removes some, or downloads one."""
    if args.download is not None:
        return _download(args, client)
    if args.prune or args.remove:
        keep = [checkpoint_word(each) for each in args.keep or ("best",)] if args.prune else None
        remove = None if args.prune else [checkpoint_word(each) for each in args.remove]
        pruned = client.prune(args.id, keep=keep, remove=remove)
        if args.json:
            print_json(pruned)
        else:
            print(f"{args.id}: removed {', '.join(each.name for each in pruned.removed) or 'nothing'}")
        return ExitCode.DONE
    found = client.checkpoints(args.id)
    if args.json:
        print_items(found)
        return ExitCode.DONE
    from service.cli.tables.followups import checkpoints_table

    print_table(checkpoints_table(found, datetime.now(UTC)), empty="no checkpoints")
    return ExitCode.DONE


def predict(args: argparse.Namespace) -> int:
    """Labels pictures by `python -m trainer.predict`, from files or from downloaded checkpoints."""
    options = ["--picture", *args.pictures, "--out", args.out or "."]
    options += [] if args.truth is None else ["--truth", args.truth]
    options += [] if args.mode is None else ["--mode", args.mode]
    return _run("trainer.predict", args, args.sources.split(","), options)


def export(args: argparse.Namespace) -> int:
    """Takes a checkpoint away by `python -m trainer.export`."""
    options = ["--format", *args.formats, "--picture", *args.pictures, "--out", args.out]
    return _run("trainer.export", args, [args.sources], options, named=False)


def _run(
    module: str, args: argparse.Namespace, words: list[str], options: list[str], *, named: bool = True
) -> int:
    """Exit code of a program over the checkpoints that `words` mean; `named`: it takes FILE=NAME."""
    if find_spec("torch") is None:
        needed = f"`rebalance {args.command}` runs the model on this machine, and torch is not installed here"
        return fail(f"{needed}; the API does the same on the cluster: see docs/api.md", ExitCode.FAILED)
    with ExitStack() as opened:
        files = _files([Source.of(word) for word in words], args, opened)
        given = [f"{file}={name}" if named and name else str(file) for file, name in files]
        # -P: a trainer.py or trainer/ where somebody stands is not ours
        return run_program([sys.executable, "-P", "-m", module, *given, *options])


def _files(
    sources: list[Source], args: argparse.Namespace, opened: ExitStack
) -> list[tuple[Path, str | None]]:
    """(file, name) of each; those of experiments are downloaded to where they go with `opened`."""
    client: RebalanceClient | None = None
    found: list[tuple[Path, str | None]] = []
    for number, source in enumerate(sources):
        if source.is_file:
            found.append((Path(source.text), source.name))
            continue
        if client is None:
            client = opened.enter_context(RebalanceClient(api_of(args)))
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="rebalance-")))
        path = folder / f"{number}.pth"
        client.download_checkpoint(source.text, args.checkpoint, path)
        found.append((path, source.name))
    return found


def _download(args: argparse.Namespace, client: RebalanceClient) -> int:
    path = Path(args.out or f"{args.id}-{args.download}.pth")
    if path.is_dir() or not path.parent.is_dir():
        raise BadArgument(f"--out: {path} cannot be a file; allowed: a path in a directory that there is")
    try:
        client.download_checkpoint(args.id, args.download, path)
    except OSError as error:
        return fail(f"--out: {path}: {error.strerror or error}", ExitCode.FAILED)
    print(path)
    return ExitCode.DONE
