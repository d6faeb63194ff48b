"""What every part of the client is built on: one request, one typed answer, and the errors of both."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.client.own_token import token_for
from service.shared.network.http_transport import transport_of
from service.shared.network.proxies import way_to
from service.shared.schemas import Page, ProblemDetail
from service.shared.states import State
from trainer.base.errors import RegionRebalanceError

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 1.0
_LARGEST_PAGE = 200  # that a list gives at once
PATIENCE = 60  # looks
PROBLEM_TYPE = "application/problem+json"

Answer = TypeVar("Answer", bound=BaseModel)
WithState = TypeVar("WithState", bound="HasState")
Params = dict[str, str | int | list[str]]


class HasState(Protocol):
    """What can be followed to its end."""

    @property
    def state(self) -> State: ...


class ApiError(RegionRebalanceError):
    """The service refused; `problem` says what was wrong and what is allowed, `status` is HTTP's."""

    def __init__(self, status: int, problem: ProblemDetail) -> None:
        super().__init__(problem.detail or problem.title)
        self.status = status
        self.problem = problem

    def __reduce__(self) -> tuple[type[ApiError], tuple[int, ProblemDetail]]:
        return type(self), (self.status, self.problem)

    def lines(self) -> list[str]:
        """The problem as a person reads it: one line for each field at fault, else one for all."""
        lines = [
            f"{item.pointer or '(document)'}: {item.got}; allowed: {item.allowed}"
            for item in self.problem.errors
        ]
        if not lines and self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return [f"{self.problem.title}: {self}"]  # what it is that fails: the words may be a library's
        return lines or [str(self)]


class ApiUnreachable(RegionRebalanceError):
    """Nobody answered at the address, or what answered is not this service."""


class ApiCaller:
    """Speaks to one service. Close it, or use it in a `with` statement."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds, for each request; `transport` replaces the network in tests.

        `token`: shown with every request; None for the one of REBALANCE_TOKEN or a file, "" for none.
        Redirects are not followed: it goes to no other address.

        Raises:
            ApiUnreachable: `base_url` is no URL.
            ProxyRefused: the environment names a proxy for it that cannot be used.
            TokenRefused: the token is none, not kept well, or would go over a network as it is.
        """
        self.base_url = base_url.rstrip("/")
        try:
            self._way = way_to(self.base_url, os.environ)
            secret = token_for(self.base_url, token, os.environ)
            self._http = httpx.Client(
                base_url=self.base_url,
                headers={} if secret is None else {"Authorization": f"Bearer {secret}"},
                timeout=timeout,
                transport=transport or transport_of(self._way),
                follow_redirects=False,
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise ApiUnreachable(f"{base_url} is no address: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def pages(self, page: type[Page[Any]], path: str, params: Params) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            more: Params = params if cursor is None else {**params, "cursor": cursor}
            found = self.ask(page, "GET", path, params=more)
            yield from found.items
            cursor = found.next_cursor
            if cursor is None:
                return

    def listed(self, page: type[Page[Any]], path: str, filters: Params, limit: int | None) -> Iterator[Any]:
        """The items of a list, at most `limit`; pages are fetched as they are needed."""
        if limit is None:
            return self.pages(page, path, filters)
        return islice(self.pages(page, path, {**filters, "limit": min(limit, _LARGEST_PAGE)}), limit)

    def ask(self, model: type[Answer], method: str, path: str, **request: Any) -> Answer:
        response = self.send(method, path, **request)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise ApiUnreachable(
                f"{self.base_url}{path} does not answer as this service does: {error.errors()[0]['msg']}"
            ) from None

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        with self._mapped_errors():
            response = self._http.request(method, path, **request)
        if response.is_success:
            return response
        raise ApiError(response.status_code, _problem_of(response))

    @contextmanager
    def streaming(self, method: str, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        """A body that is too large to be kept, piece by piece; one that breaks off is ApiUnreachable."""
        with self._mapped_errors(), self._http.stream(method, path, **request) as response:
            if not response.is_success:
                response.read()
                raise ApiError(response.status_code, _problem_of(response))
            yield response.iter_bytes()

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise ApiUnreachable(
                f"no answer from {self.base_url}{self._way.words} ({why});"
                " is `rebalance serve` running there?"
            ) from None
        except UnicodeEncodeError as error:
            raise ApiError(400, _unsent(error)) from None


def _unsent(error: UnicodeEncodeError) -> ProblemDetail:
    """What the service would say of a parameter or header that HTTP cannot carry."""
    encoding = error.encoding.upper()
    detail = f"{error.object[:80]!r} cannot be sent: it is not {encoding}; allowed: text in {encoding}"
    return ProblemDetail(title="Text that cannot be sent", status=400, detail=detail)


def _problem_of(response: httpx.Response) -> ProblemDetail:
    """The problem document, or one made up for an answer that is none: a proxy's page, say."""
    if response.headers.get("Content-Type", "").startswith(PROBLEM_TYPE):
        try:
            return ProblemDetail.model_validate_json(response.content)
        except ValidationError:
            pass
    where = f"{response.request.method} {response.request.url}"
    detail = f"{where} was answered {response.status_code} {response.reason_phrase}"
    return ProblemDetail(title=response.reason_phrase, status=response.status_code, detail=detail)


def looks(
    look: Callable[[], WithState],
    *,
    poll_seconds: float = POLL_SECONDS,
    patience: int = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[WithState]:
    """What `look` gives now and every `poll_seconds`, up to the first that has ended.

    A service that is being started again loses nothing: only after more than `patience` looks in a row
    without an answer is ApiUnreachable raised.
    """
    silent = 0
    while True:
        try:
            current = look()
        except ApiUnreachable:
            silent += 1
            if silent > patience:
                raise
        else:
            silent = 0
            yield current
            if current.state.ended:
                return
        sleep(poll_seconds)


def segment(text: str) -> str:
    """One path segment, whatever is in the text."""
    return quote(text, safe="", errors="surrogateescape") or "-"


def utf8(text: str) -> bytes:
    """`text` as it is sent; lone surrogates as they are, for the service says what is wrong with them."""
    return text.encode("utf-8", "surrogatepass")


def document_body(document: BaseModel | Mapping[str, Any] | str) -> bytes:
    """A spec, a document, or JSON text, which is sent as it is."""
    if isinstance(document, BaseModel):
        return utf8(document.model_dump_json())
    return utf8(document if isinstance(document, str) else json.dumps(document))
