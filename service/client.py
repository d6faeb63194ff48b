"""A typed client of the HTTP API, for users' programs and for the command line.

Example:
    with RebalanceClient("http://127.0.0.1:8000") as client:
        experiment = client.submit({"dataset": "digit_scenes", "model": "small", "method": "baseline"})
        ended = client.wait(experiment.id)
        print(ended.headline)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, RootModel, ValidationError

from service.schemas import (
    CatalogueItem,
    EventPublic,
    ExperimentPublic,
    MetricsPage,
    Page,
    ProblemDetail,
    Readiness,
)
from trainer.errors import RegionRebalanceError

if TYPE_CHECKING:  # these load numpy; only who asks for a report or a comparison pays for it
    from trainer.compare import Comparison
    from trainer.report import RunReport
    from trainer.spec import ExperimentSpec

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 1.0
PATIENCE = 60  # looks
PROBLEM_TYPE = "application/problem+json"

Answer = TypeVar("Answer", bound=BaseModel)
Params = dict[str, str | int | list[str]]


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
        return lines or [str(self)]


class ApiUnreachable(RegionRebalanceError):
    """Nobody answered at the address, or what answered is not this service."""


class LogPiece(NamedTuple):
    """A part of a log, UTF-8 that may be cut anywhere; `next_offset` (bytes) asks for what follows."""

    content: bytes
    next_offset: int

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", errors="replace")


class _Object(RootModel[dict[str, Any]]):
    """Any JSON object."""


class RebalanceClient:
    """Speaks to one service. Close it, or use it in a `with` statement."""

    def __init__(
        self, base_url: str, *, timeout: float = TIMEOUT_SECONDS, transport: httpx.BaseTransport | None = None
    ) -> None:
        """`timeout` in seconds, for each request; `transport` replaces the network in tests.

        Raises:
            ApiUnreachable: `base_url` is no URL.
        """
        self.base_url = base_url.rstrip("/")
        try:
            local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
            self._http = httpx.Client(
                base_url=self.base_url,
                timeout=timeout,
                transport=transport,
                trust_env=not local,  # a proxy for the internet is no way to this machine
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

    def submit(
        self, spec: ExperimentSpec | Mapping[str, Any] | str, *, idempotency_key: str | None = None
    ) -> ExperimentPublic:
        """The stored experiment. `spec` is a spec, a document, or JSON text, which is sent as it is.

        Raises:
            ApiError: the spec was refused (4xx), or the key was used with another one (409).
            ApiUnreachable: nobody answered. (So for every method.)
        """
        if isinstance(spec, BaseModel):
            spec = spec.model_dump_json()
        body = spec if isinstance(spec, str) else json.dumps(spec)
        headers = {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return self._ask(ExperimentPublic, "POST", "/experiments", content=body.encode(), headers=headers)

    def experiment(self, experiment_id: str) -> ExperimentPublic:
        """One experiment as it stands now."""
        return self._ask(ExperimentPublic, "GET", f"/experiments/{_segment(experiment_id)}")

    def experiments(
        self,
        *,
        state: Sequence[str] = (),
        method: Sequence[str] = (),
        dataset: Sequence[str] = (),
        tag: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[ExperimentPublic]:
        """Experiments that fit, newest first, at most `limit`; pages are fetched as they are needed."""
        filters: Params = {"state": [*state], "method": [*method], "dataset": [*dataset], "tag": [*tag]}
        if limit is not None:
            filters["limit"] = min(limit, 200)
        return _first(self._pages(Page[ExperimentPublic], "/experiments", filters), limit)

    def events(self, experiment_id: str) -> Iterator[EventPublic]:
        """Every change of the experiment's state, oldest first."""
        return self._pages(Page[EventPublic], f"/experiments/{_segment(experiment_id)}/events", {})

    def logs(self, experiment_id: str, *, offset: int = 0, attempt: int | None = None) -> LogPiece:
        """The log from `offset` bytes on; of all attempts in a row, or of one."""
        params: Params = {"offset": offset}
        if attempt is not None:
            params["attempt"] = attempt
        response = self._send("GET", f"/experiments/{_segment(experiment_id)}/logs", params=params)
        body = response.content
        following = int(response.headers.get("X-Next-Offset", offset + len(body)))
        return LogPiece(body, following)

    def metrics(
        self, experiment_id: str, *, kind: Literal["train", "eval", "event"] | None = None, after: int = 0
    ) -> MetricsPage:
        """What the job measured, one object a line; `after` = `next_after` of the answer before."""
        params: Params = {"after": after}
        if kind is not None:
            params["kind"] = kind
        return self._ask(MetricsPage, "GET", f"/experiments/{_segment(experiment_id)}/metrics", params=params)

    def report(self, experiment_id: str) -> RunReport:
        """The report of the newest attempt. 404 while there is none."""
        from trainer.report import RunReport

        return self._ask(RunReport, "GET", f"/experiments/{_segment(experiment_id)}/report")

    def cancel(self, experiment_id: str) -> ExperimentPublic:
        """Asks for the experiment's end; its state follows. 409 where it has ended already."""
        return self._ask(ExperimentPublic, "POST", f"/experiments/{_segment(experiment_id)}/cancel")

    def compare(self, experiment_ids: Sequence[str]) -> Comparison:
        """The table of completed experiments, differences taken to the first."""
        from trainer.compare import Comparison

        return self._ask(Comparison, "GET", "/comparisons", params={"ids": ",".join(experiment_ids)})

    def comparison_document(self, experiment_ids: Sequence[str]) -> dict[str, Any]:
        """The same as plain data, for who only shows it: `Comparison` loads numpy."""
        return self._ask(_Object, "GET", "/comparisons", params={"ids": ",".join(experiment_ids)}).root

    def datasets(self) -> list[CatalogueItem]:
        """The data sets a spec can name."""
        return list(self._pages(Page[CatalogueItem], "/datasets", {}))

    def models(self) -> list[CatalogueItem]:
        """The models a spec can name."""
        return list(self._pages(Page[CatalogueItem], "/models", {}))

    def methods(self) -> list[CatalogueItem]:
        """The methods a spec can name, with the JSON schema of their parameters."""
        return list(self._pages(Page[CatalogueItem], "/methods", {}))

    def ready(self) -> Readiness:
        """What the service needs, each `ok`; ApiError 503 names what is not."""
        return self._ask(Readiness, "GET", "/readyz")

    def follow(
        self,
        experiment_id: str,
        *,
        poll_seconds: float = POLL_SECONDS,
        patience: int = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[ExperimentPublic]:
        """The experiment as seen now and every `poll_seconds`; the last one seen has ended.

        A service that is being started again loses nothing: only after more than `patience` looks in a row
        without an answer is ApiUnreachable raised.
        """
        silent = 0
        while True:
            try:
                seen = self.experiment(experiment_id)
            except ApiUnreachable:
                silent += 1
                if silent > patience:
                    raise
            else:
                silent = 0
                yield seen
                if seen.state.ended:
                    return
            sleep(poll_seconds)

    def wait(self, experiment_id: str, *, poll_seconds: float = POLL_SECONDS) -> ExperimentPublic:
        """The experiment once it has ended, however it ended."""
        *_, last = self.follow(experiment_id, poll_seconds=poll_seconds)
        return last

    def _pages(self, page: type[Page[Any]], path: str, params: Params) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            more: Params = params if cursor is None else {**params, "cursor": cursor}
            found = self._ask(page, "GET", path, params=more)
            yield from found.items
            cursor = found.next_cursor
            if cursor is None:
                return

    def _ask(self, model: type[Answer], method: str, path: str, **request: Any) -> Answer:
        response = self._send(method, path, **request)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise ApiUnreachable(
                f"{self.base_url}{path} does not answer as this service does: {error.errors()[0]['msg']}"
            ) from None

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise ApiUnreachable(
                f"no answer from {self.base_url} ({why}); is `rebalance serve` running there?"
            ) from None
        if response.is_success:
            return response
        raise ApiError(response.status_code, _problem_of(response))


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


def _segment(text: str) -> str:
    """One path segment, whatever is in the text."""
    return quote(text, safe="") or "-"


def _first(items: Iterator[Any], limit: int | None) -> Iterator[Any]:
    return items if limit is None else islice(items, limit)
