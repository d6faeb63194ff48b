"""How every command says that it failed: one line on stderr, and an exit code."""

from __future__ import annotations

import sys

from trainer.base.ends import ExitCode
from trainer.base.text import printable_lines


def fail(text: str, code: ExitCode) -> ExitCode:
    """`code`, for the process to end with; prints `text` first."""
    print(f"rebalance: {printable_lines(text)}", file=sys.stderr)
    return code
