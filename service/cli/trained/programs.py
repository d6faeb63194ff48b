"""Programs of the trainer that a command runs and waits for, in the same terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from trainer.base.commands import ended_by_sigterm

_BY_SIGNAL = 128  # as a shell has it


def run_program(command: Sequence[str]) -> int:
    """Its exit code. Ctrl-C reaches it by itself, SIGTERM by us; either way it is waited for."""
    with ended_by_sigterm(), subprocess.Popen(command) as child:
        while True:
            try:
                code = child.wait()
            except KeyboardInterrupt:
                continue
            except SystemExit:
                child.terminate()
                child.wait()
                raise
            return code if code >= 0 else _BY_SIGNAL - code
