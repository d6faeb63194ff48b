"""Ray's Jobs API as its dashboard documents it, over HTTP: Ray itself need not be installed here.

Source: "Ray Jobs REST API" in Ray's documentation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import httpx

from service.reconcile.cluster import AlreadySubmitted, BackendError, BackendUnreachable
from service.reconcile.ray_token import RayToken
from service.shared.http_transport import transport_of
from service.shared.proxies import way_to

_CONNECT_SECONDS = 3.0
_LONGEST_WORDS = 500


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
        try:
            answer = self._http.request(method, path, json=document)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise BackendUnreachable(f"{self._name} does not answer: {why}") from error
        if answer.status_code != httpx.codes.OK:
            raise self._meaning(answer)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BackendUnreachable(f"{self._name}: the answer to {path} is none of Ray's")
        return found

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
