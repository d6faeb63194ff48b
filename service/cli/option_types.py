"""What options of several commands accept."""

from __future__ import annotations

import argparse


def identifier(text: str) -> str:
    """An id, which is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: an id, as lists show it")
    return text
