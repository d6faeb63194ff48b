"""`python -m trainer.weights list | fetch NAME | add FILE | verify`: pretrained weights in the storage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.base.commands import ended_by_sigterm, usual_storage
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError, WeightsError
from trainer.base.text import make_streams_printable, printable_lines
from trainer.spec.catalogue.weights_list import WEIGHTS, Published
from trainer.storage.layout import Storage
from trainer.storage.weights import StoredWeights, WeightsFolder, is_weights_name
from trainer.weights.options import ABOUT, add_options
from trainer.weights.take import add, fetch, verify
from trainer.weights.view import Downloads, entries, listing, size_text

if TYPE_CHECKING:
    Run = Callable[[argparse.Namespace, WeightsFolder, Published], int]


def main(arguments: Sequence[str] | None = None, *, published: Published = WEIGHTS) -> int:
    """Exit code: 0 done, 1 not fetched or not what it was, 2 bad input, 130 interrupted, 143 terminated."""
    parser = argparse.ArgumentParser(prog="python -m trainer.weights", description=ABOUT)
    add_options(parser)
    make_streams_printable()
    options = parser.parse_args(arguments)
    make_streams_printable(utf8=options.json)
    run: Run = {"list": _list, "fetch": _fetch, "add": _add, "verify": _verify}[options.action]
    try:
        with ended_by_sigterm():
            return run(
                options,
                WeightsFolder(Storage.at(options.storage or usual_storage(options.data_dir))),
                published,
            )
    except RegionRebalanceError as error:
        return _fail(str(error), ExitCode.BAD_INPUT if options.action == "add" else ExitCode.FAILED)
    except BrokenPipeError:  # the reader, such as `head`, has gone: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        named = error.filename2 or error.filename  # of a rename, where to
        return _fail(f"{named}: {error.strerror}" if named else str(error), ExitCode.FAILED)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _list(options: argparse.Namespace, folder: WeightsFolder, published: Published) -> int:
    found = entries(folder, published)
    if options.json:
        _print_json(found)
    else:
        print(listing(found), end="", flush=True)
    return ExitCode.DONE


def _fetch(options: argparse.Namespace, folder: WeightsFolder, published: Published) -> int:
    names = list(dict.fromkeys(options.names))
    unknown = [name for name in names if name not in published]
    if unknown:
        allowed = ", ".join(published)
        return _fail(f"{', '.join(unknown)}: not published weights; allowed: {allowed}", ExitCode.BAD_INPUT)
    fetched = []
    for name in names:
        with Downloads(sys.stderr) as shown:
            fetched.append(fetch(published[name], folder, advance=shown.advance, say=shown.say))
        if not options.json:
            print(_told(fetched[-1], "lies in the storage"), flush=True)
    if options.json:
        _print_json([_as_json(each) for each in fetched])
    return ExitCode.DONE


def _add(options: argparse.Namespace, folder: WeightsFolder, published: Published) -> int:
    stored = add(
        options.file,
        folder,
        name=options.name,
        layout=options.layout,
        check=_torch_check(),
        published=published,
    )
    if options.json:
        _print_json(_as_json(stored))
    else:
        print(_told(stored, "was added"), flush=True)
    return ExitCode.DONE


def _torch_check() -> Callable[[Path], object]:
    """That torch opens a file, where there is torch; its structure was checked without."""
    if find_spec("torch") is None:
        return lambda path: None
    from trainer.weights.tensors import read_tensors

    return read_tensors


def _verify(options: argparse.Namespace, folder: WeightsFolder, published: Published) -> int:
    names = options.names or folder.names()
    known = folder.names()
    absent = [name for name in names if not is_weights_name(name) or name not in known]
    if absent:
        return _fail(f"{', '.join(absent)}: not in the storage; allowed: {', '.join(known) or 'none yet'}",
                     ExitCode.BAD_INPUT)  # fmt: skip
    wrong: dict[str, str | None] = {}
    for name in names:
        try:
            wrong[name] = verify(name, folder, published)
        except WeightsError as error:
            wrong[name] = str(error)
        if not options.json:
            print(printable_lines(f"{name}: {wrong[name] or 'is what it was'}"), flush=True)
    if options.json:
        _print_json([{"name": name, "problem": problem} for name, problem in wrong.items()])
    return ExitCode.FAILED if any(wrong.values()) else ExitCode.DONE


def _told(stored: StoredWeights, what: str) -> str:
    note = stored.note
    facts = f"{size_text(note.size)}, SHA-256 {note.sha256[:16]}…, layout {note.layout}"
    return printable_lines(f"{stored.name}: {what} ({facts})")


def _as_json(stored: StoredWeights) -> dict[str, Any]:
    return {"name": stored.name, "file": str(stored.file), **stored.note.model_dump()}


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False), flush=True)


def _fail(text: str, code: ExitCode) -> ExitCode:
    print(printable_lines(text), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
