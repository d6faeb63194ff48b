"""`python -m trainer.predict final.pth --picture P --out DIR`: labels pictures, without any service."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainer.base.ends import ExitCode
from trainer.base.errors import CheckpointError, DataError
from trainer.base.files import writing_atomically
from trainer.base.text import make_streams_printable, printable
from trainer.followups.names import distinct_names, distinct_words
from trainer.mmseg_adapter import quiet_imports
from trainer.spec.evaluation import MODES, SINGLE_SCALE

if TYPE_CHECKING:
    from trainer.followups.from_files import SideBySide

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LEGEND = "legend.png"


class Given(NamedTuple):
    """A checkpoint as the command line has it: its file, and what it is to be called, if that is said."""

    file: Path
    name: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 all were labelled, 1 some pictures were not, 2 command line or checkpoints are wrong."""
    make_streams_printable()
    parser = _parser()
    options = parser.parse_args(arguments)
    names = distinct_names(options.picture)
    if options.truth is not None and len(names) > 1 and not options.truth.is_dir():
        parser.error("--truth: is one file for several pictures; allowed: a folder with a mask for each")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out: {options.out} is no directory")
    try:
        models = _load(options.checkpoints, options.mode)
    except CheckpointError as error:
        print(printable(str(error)), file=sys.stderr)
        return ExitCode.BAD_INPUT
    done = _label_all(models, names, truth=options.truth, out=options.out)
    print(f"{done} of {len(names)} {'picture' if len(names) == 1 else 'pictures'} labelled: {options.out}")
    return ExitCode.DONE if done == len(names) else ExitCode.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.predict", description=__doc__)
    text = "a final.pth; several, of the same classes, are set side by side, each called NAME"
    parser.add_argument("checkpoints", nargs="+", type=_given, metavar="CHECKPOINT[=NAME]", help=text)
    text = "JPG or PNG of 8 bits, RGB or greyscale, upright"
    parser.add_argument(
        "--picture", action="extend", nargs="+", type=Path, required=True, metavar="P", help=text
    )
    text = "where NAME_labels.png, NAME_overlay.png, legend.png and NAME_compare.png go (default: here)"
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help=text)
    text = "the mask, or a folder of masks named as the data set names them"
    parser.add_argument("--truth", type=Path, metavar="FILE|DIR", help=text)
    text = "views of a picture whose probabilities are averaged (default: %(default)s)"
    parser.add_argument("--mode", choices=list(MODES), default=SINGLE_SCALE, help=text)
    return parser


def _given(text: str) -> Given:
    path, equals, name = text.rpartition("=")
    if not equals or Path(text).exists():  # a file's own name may have one
        return Given(Path(text), None)
    if not _NAME.fullmatch(name):
        wanted = "1 to 40 letters, digits, '.', '_' or '-', a letter or digit first"
        raise argparse.ArgumentTypeError(f"the name {name!r} is refused; allowed: {wanted}")
    return Given(Path(path), name)


def _load(given: Sequence[Given], mode: str) -> SideBySide:
    """The models, none of them twice under one name. Raises CheckpointError."""
    with quiet_imports():
        from trainer.followups.from_files import SideBySide, check_same_classes, load_model

    models = [load_model(each.file, MODES[mode]) for each in given]
    check_same_classes(models)
    called = [each.name or model.name for each, model in zip(given, models, strict=True)]
    return SideBySide(models, distinct_words(called))


def _label_all(models: SideBySide, names: dict[Path, str], *, truth: Path | None, out: Path) -> int:
    """How many pictures were labelled; those that could not be are told, by name, and leave nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console, done = Console(stderr=True), 0
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("labelling", total=len(names))
        for picture, name in names.items():
            try:
                _write(models.files_of(picture, name, truth), out)
                done += 1
            except DataError as error:
                console.print(printable(str(error)), markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)
    if done:
        _write({_LEGEND: models.legend()}, out)
    return done


def _write(files: dict[str, bytes], out: Path) -> None:
    """All of the files, or none; those that are there are replaced whole."""
    with ExitStack() as opened:
        for name, content in files.items():
            stream = opened.enter_context(writing_atomically(out / name))
            stream.write(content)
            stream.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:  # a full disk, a directory that is closed to us
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
