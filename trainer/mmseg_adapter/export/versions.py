"""Versions of installed distributions."""

from __future__ import annotations

import importlib.metadata


def installed(name: str) -> str | None:
    """The version, without its build's own tag such as +cpu; None where it is not installed."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None
