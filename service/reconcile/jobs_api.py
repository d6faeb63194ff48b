"""Ray's Jobs API as its dashboard documents it, over HTTP, with its token: Ray itself is not needed here.

Source: "Ray Jobs REST API" in Ray's documentation.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import httpx

from service.reconcile.cluster import AlreadySubmitted, BackendError, BackendUnreachable
from service.shared.network.http_transport import transport_of
from service.shared.network.proxies import way_to
from trainer.base.secret_files import SecretRefused, read_secret

_CONNECT_SECONDS = 3.0
_LONGEST_WORDS = 500
_MODE = "RAY_AUTH_MODE"
_VALUE = "RAY_AUTH_TOKEN"
_FILE = "RAY_AUTH_TOKEN_PATH"
_DEFAULT_FILE = Path("~/.ray/auth_token")
_ALLOWED = "printable ASCII without blanks"


class NoSuchJob(BackendError):
    """The Jobs API knows no job of this id."""


class CallRefused(BackendUnreachable):
    """The Jobs API will not do this. Only a submit is hopeless then; for the rest nothing is known."""


class JobsApi:
    """Asks the Jobs API at `address`, a URL. Any thread may; close it at the end."""

    def __init__(self, address: str, *, answer_seconds: float) -> None:
        """Raises ProxyRefused where the environment names a proxy for `address` that cannot be used."""
        way = way_to(address, os.environ)
        self._name = f"Ray's Jobs API at {address}{way.words}"
        self._http = httpx.Client(
            base_url=address,
            timeout=httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS),
            transport=transport_of(way),
            auth=RayToken(os.environ),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON object.

        Raises:
            NoSuchJob, AlreadySubmitted, CallRefused: as the answer says.
            BackendUnreachable: no answer, or not in time; a token that is refused; not Ray's dashboard.
        """
        found = self._answer(method, path, document)
        if not isinstance(found, dict):
            raise self._none_of_rays(path)
        return found

    def every(self, path: str) -> list[dict[str, Any]]:
        """The JSON objects of a list.

        Raises:
            BackendUnreachable: as `ask`.
        """
        found = self._answer("GET", path)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self._none_of_rays(path)
        return found

    def _none_of_rays(self, path: str) -> BackendUnreachable:
        return BackendUnreachable(f"{self._name}: the answer to {path} is none of Ray's")

    def _answer(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> object:
        try:
            answer = self._http.request(method, path, json=document)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise BackendUnreachable(f"{self._name} does not answer: {why}") from error
        if answer.status_code != httpx.codes.OK:
            raise self._meaning(answer)
        try:
            return answer.json()
        except ValueError:
            return None

    def _meaning(self, answer: httpx.Response) -> BackendError:
        """What an answer that is not 200 says; where the status is not enough, Ray's words decide."""
        said = f"{answer.status_code} {answer.reason_phrase}: {_last_words(answer.text)}"
        if answer.status_code == httpx.codes.NOT_FOUND and "does not exist" in answer.text:
            return NoSuchJob(said)
        if "already exists" in answer.text:
            return AlreadySubmitted(said)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            return CallRefused(said)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            said = f"{said} (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH must name the cluster's token)"
        return BackendUnreachable(f"{self._name}: {said}")


def _last_words(text: str) -> str:
    """Ray often answers with a traceback: its last line says what was wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_LONGEST_WORDS] if lines else "no words"


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
            BackendUnreachable: the file that should have it cannot be read or is open to others (Ray's own
                is, as Ray makes it), or what is there is no token. Names the variable, never the text.
        """
        if self._value:
            return _checked(self._value, _VALUE)
        if self._file is None:
            return None
        try:
            found = read_secret(self._file, "Ray's token")
        except SecretRefused as error:
            raise BackendUnreachable(f"{self._file_from}: {error}") from None
        return _checked(found, f"{self._file_from}: {self._file}")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header. Raises what `token` raises."""
        if (token := self.token()) is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _checked(token: str, where: str) -> str:
    if not token or not all("!" <= character <= "~" for character in token):
        raise BackendUnreachable(f"{where}: is no token; allowed: {_ALLOWED}")
    return token
