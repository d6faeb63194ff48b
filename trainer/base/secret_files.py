"""Secrets kept in files: which files may be used, so that nobody else reads or replaces what is in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from trainer.base.errors import RegionRebalanceError

MOUNTED = Path("/run/secrets")  # where container engines put secrets; elsewhere only root can make it
_LONGEST = 4096  # characters that are read
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class SecretRefused(RegionRebalanceError):
    """A file cannot be used as it is kept; the message names it and what is allowed, never what is in it."""


def read_secret(file: Path, holds: str, *, mounted: Path = MOUNTED) -> str:
    """What is in `file`, without blanks and line ends around it; ~ is the home directory.

    The file is its user's or root's, and closed to everybody else (mode 600 or 400). Below `mounted`, where
    a container's secrets lie, others may read it (there are none in a container), and not write.

    Args:
        holds: what is in it, for messages: `a token`.

    Raises:
        SecretRefused: it is not there, is no file, is not UTF-8, or others could use it.
    """
    try:
        path = file.expanduser()
        _refuse_others(path, holds, mounted)
        return path.read_text(encoding="utf-8")[:_LONGEST].strip()
    except OSError as error:
        raise SecretRefused(f"{file}: {error.strerror}; allowed: a file that holds {holds}") from None
    except UnicodeDecodeError:
        raise SecretRefused(f"{file}: is not UTF-8; allowed: a file that holds {holds}") from None
    except RuntimeError as error:  # nobody's home directory
        raise SecretRefused(f"{file}: {error}; allowed: a file that holds {holds}") from None


def _refuse_others(path: Path, holds: str, mounted: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise SecretRefused(f"{path}: is no file; allowed: a file that holds {holds}")
    if path.resolve().is_relative_to(mounted):
        if found.st_mode & _OTHERS_WRITE:
            raise SecretRefused(f"{path}: others can write to this file; allowed: mode 444, 440 or 400")
        return
    if found.st_mode & _OTHERS:
        raise SecretRefused(f"{path}: others can use this file; allowed: chmod 600 {path}")
    if found.st_uid not in (os.geteuid(), 0):
        raise SecretRefused(f"{path}: is another user's; allowed: a file of one's own, or of root")
