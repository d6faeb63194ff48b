"""`python -m trainer.export FILE --format F… --picture P… --out DIR`: a model in other programs' formats.

Each is run on the pictures and compared with the checkpoint before it is kept; see docs/export.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from trainer.base.commands import ended_by_sigterm
from trainer.base.ends import ExitCode
from trainer.base.errors import CheckpointError, DataError, DiskFull
from trainer.base.text import make_streams_printable
from trainer.mmseg_adapter import quiet_imports
from trainer.results.followup import ExportedFile
from trainer.spec.followups import Format

FORMATS: tuple[Format, ...] = get_args(Format)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 all were made, 1 some were not, 2 bad input, 130 interrupted, 143 terminated."""
    make_streams_printable()
    parser = _parser()
    options = parser.parse_args(arguments)
    there = [str(options.out / name) for name in options.format if (options.out / name).exists()]
    if there:
        parser.error(f"--out: {', '.join(there)} is there already; allowed: a folder without it")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out: {options.out} is no folder")
    try:
        with ended_by_sigterm():
            return _run(options)
    except (CheckpointError, DataError) as error:
        return _fail(str(error), ExitCode.BAD_INPUT)
    except DiskFull as error:
        return _fail(str(error), ExitCode.FAILED)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), ExitCode.FAILED)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").partition(": ")[2]
    parser = argparse.ArgumentParser(prog="python -m trainer.export", description=summary)
    parser.add_argument("file", type=Path, metavar="FILE", help="a final.pth")
    many = partial(parser.add_argument, action="extend", nargs="+", required=True)
    many("--format", choices=FORMATS, metavar="F", help=f"of {', '.join(FORMATS)}")
    text = "real pictures, such as the model is made for: JPG or PNG; labels are compared on them"
    many("--picture", type=Path, metavar="P", help=text)
    text = "gets a folder for each format"
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=text)
    return parser


def _run(options: argparse.Namespace) -> int:
    with quiet_imports():  # mmsegmentation prints, also while it builds
        from trainer.mmseg_adapter.export.from_file import export_file

        made, refused = export_file(options.file, options.picture, options.format, options.out)
    for each in made:
        print(f"{each.format}: {options.out / each.path} ({_compared(each)})", flush=True)
    for name, why in refused.items():
        print(f"{name}: not made: {why}", file=sys.stderr)
    return ExitCode.FAILED if refused else ExitCode.DONE


def _compared(made: ExportedFile) -> str:
    same = f"{made.differing:.4%} of the pixels differ" if made.differing else "the same labels"
    return f"{same} on {made.pictures} picture{'s' * (made.pictures != 1)}"


def _fail(text: str, code: ExitCode) -> int:
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
