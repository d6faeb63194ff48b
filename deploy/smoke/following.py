"""What was begun, followed to where it should go within a limit, and ended again where a step fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from typing import Any

from .api import Failed, Server

_ENDED = ("completed", "failed", "cancelled")
_LOOK_SECONDS = 0.5
_LOG_LINES = 15


class Following:
    """Everything that one run has begun on a deployment."""

    def __init__(self, api: Server, limit_seconds: float) -> None:
        """`limit_seconds` is for each wait."""
        self._api = api
        self._limit = limit_seconds
        self._begun: list[str] = []

    def begin(
        self,
        path: str,
        body: dict[str, Any] | bytes,
        *,
        kind: str = "application/json",
        at: str | None = None,
    ) -> str:
        """Posts it; its id. It is found `at` another path than it was posted to, if one is named.

        Raises as `Server.ask`.
        """
        identifier = str(self._api.ask("POST", path, body, kind=kind).document()["id"])
        self._begun.append(f"{at or path}/{identifier}")
        return identifier

    def cancel_all(self) -> None:
        """Asks all that may still go on to end; whoever does not answer now is not asked again."""
        for path in self._begun:
            with contextlib.suppress(Failed, KeyError, TypeError):
                if self._api.get(path)["state"] not in _ENDED:
                    self._api.ask("POST", f"{path}/cancel")

    def until(self, look: Callable[[], tuple[bool, str]], what: str) -> None:
        """Returns once `look` says yes.

        Raises:
            Failed: it did not within the limit; with what it said last.
        """
        end = time.monotonic() + self._limit
        while True:
            done, words = look()
            if done:
                return
            if time.monotonic() > end:
                raise Failed(f"{what} after {self._limit:g} s: {words}")
            time.sleep(_LOOK_SECONDS)

    def completed(self, path: str) -> Any:
        """Its document once it is completed. Raises as `reached`."""
        return self.reached(path, ("completed",))

    def reached(self, path: str, states: Collection[str]) -> Any:
        """Its document once it is in one of the `states`.

        Raises:
            Failed: it ended in another, with its error and the end of its log; or the limit has passed, with
                the reason why it waits.
        """
        found: Any = None

        def look() -> tuple[bool, str]:
            nonlocal found
            found = self._api.get(path)
            state = found["state"]
            if state in _ENDED and state not in states:
                raise Failed(f"{path} has {state}{self._why(path, found)}")
            return state in states, f"it is {state}{self._why(path, found)}"

        self.until(look, f"{path} is not {' or '.join(states)}")
        return found

    def _why(self, path: str, found: dict[str, Any]) -> str:
        """What the service says of it: its error and the end of its log, or why it waits."""
        error, waiting = found.get("error"), found.get("waiting")
        told = f": {error['type']}: {error['message']}" if error else ""
        told = told or (f": {waiting.get('reason')}" if isinstance(waiting, dict) else "")
        if found["state"] != "failed":
            return told
        with contextlib.suppress(Failed):
            log = self._api.ask("GET", f"{path}/logs").body.decode(errors="replace").splitlines()
            told += "".join(f"\n    {line}" for line in ["its log ends:", *log[-_LOG_LINES:]])
        return told
