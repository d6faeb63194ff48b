"""`python3 -m smoke URL`: runs the steps, each timed; words to stderr, one line of JSON to stdout."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .api import Failed
from .following import Following
from .options import read_options
from .steps import Smoke


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every step passed, 1 where one failed, 130 or 143 where a signal ended it."""
    options = read_options(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    following = Following(options.api, options.limit_seconds)
    measured: dict[str, Any] = {"url": options.api.url, "ok": False, "seconds": {}}
    began = time.monotonic()
    try:
        for name, step in Smoke(options, following).steps():
            measured["failed"] = name
            measured["seconds"][name] = _run(name, step)
        del measured["failed"]
        measured["ok"] = True
    except Failed as error:
        measured["error"] = str(error).splitlines()[0]
        _say(f"{name}: FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        measured["seconds_total"] = round(time.monotonic() - began, 2)
        print(json.dumps(measured), flush=True)
        following.cancel_all()  # nothing, where all went well
    _say(f"all {len(measured['seconds'])} steps passed in {measured['seconds_total']:.1f} s")
    return 0


def _run(name: str, step: Callable[[], str]) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    try:
        words = step()
    except (KeyError, TypeError, AttributeError) as error:
        raise Failed(f"an answer that has not what it should: {type(error).__name__}: {error}") from error
    seconds = round(time.monotonic() - began, 2)
    _say(f"{name}: {seconds:.1f} s: {words}")
    return seconds


def _say(text: str) -> None:
    print(f"smoke: {text}", file=sys.stderr, flush=True)


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
