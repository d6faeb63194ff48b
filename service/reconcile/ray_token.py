"""The token of Ray's token authentication, found where Ray's own clients find it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path

import httpx

from service.reconcile.cluster import BackendUnreachable

_MODE = "RAY_AUTH_MODE"
_VALUE = "RAY_AUTH_TOKEN"
_FILE = "RAY_AUTH_TOKEN_PATH"
_DEFAULT_FILE = Path("~/.ray/auth_token")
_ALLOWED = "printable ASCII without blanks"


class RayToken(httpx.Auth):
    """Shows the token with each request. A file is read each time, so that a new token needs no restart.

    Source: "Ray token authentication" in Ray's documentation: RAY_AUTH_TOKEN, else the file that
    RAY_AUTH_TOKEN_PATH names, else ~/.ray/auth_token, all where RAY_AUTH_MODE is `token`. A token or a file
    that is named is shown without that mode, too, unless the mode is `disabled`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        mode = environment.get(_MODE, "").strip().lower()
        self._value = environment.get(_VALUE, "").strip() if mode != "disabled" else ""
        named = environment.get(_FILE, "").strip() if mode != "disabled" else ""
        self._file = Path(named) if named else _DEFAULT_FILE if mode == "token" else None
        self._file_from = _FILE if named else f"{_MODE}=token without {_VALUE} or {_FILE}"

    def token(self) -> str | None:
        """The token as it is now; None where none is asked for.

        Raises:
            BackendUnreachable: the file that should have it cannot be read, or what is there is no token.
                Names the variable, never the text.
        """
        if self._value:
            return _checked(self._value, _VALUE)
        if self._file is None:
            return None
        try:
            found = self._file.expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) else "cannot be read"
            raise BackendUnreachable(f"{self._file_from}: {self._file}: {why}") from None
        return _checked(found.strip(), f"{self._file_from}: {self._file}")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header. Raises what `token` raises."""
        if (token := self.token()) is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _checked(token: str, where: str) -> str:
    if not token or not all("!" <= character <= "~" for character in token):
        raise BackendUnreachable(f"{where}: is no token; allowed: {_ALLOWED}")
    return token
