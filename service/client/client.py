"""A typed client of the HTTP API, for users' programs and for the command line.

Example:
    with RebalanceClient("http://127.0.0.1:8000") as client:
        experiment = client.submit({"dataset": "digit_scenes", "model": "small", "method": "baseline"})
        ended = client.wait(experiment.id)
        print(ended.headline)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import RootModel

from service.client.again import AgainCalls
from service.client.followups import FollowupCalls
from service.client.http import (
    PATIENCE,
    POLL_SECONDS,
    ApiError,
    ApiUnreachable,
    Params,
    document_body,
    looks,
    segment,
)
from service.client.keeping import KeepingCalls
from service.client.logs import LogPiece, log_piece
from service.client.queue import QueueCalls
from service.client.reports import ReportCalls
from service.client.running import RunningCalls
from service.client.streams import follow
from service.client.sweeps import SweepCalls
from service.client.tokens import TokenCalls
from service.shared.catalogue_schemas import CatalogueItem, RecipePublic
from service.shared.health_schemas import Readiness
from service.shared.schemas import (
    EventPublic,
    ExperimentPreview,
    ExperimentPublic,
    MetricsPage,
    Page,
)

if TYPE_CHECKING:  # these load numpy; only who asks for a report or a comparison pays for it
    from trainer.results.compare import Comparison
    from trainer.results.report import AttemptReport
    from trainer.spec.spec import ExperimentSpec

__all__ = ["POLL_SECONDS", "ApiError", "ApiUnreachable", "LogPiece", "RebalanceClient"]


class _Object(RootModel[dict[str, Any]]):
    """Any JSON object."""


class RebalanceClient(
    RunningCalls,
    SweepCalls,
    AgainCalls,
    FollowupCalls,
    ReportCalls,
    QueueCalls,
    TokenCalls,
    KeepingCalls,
):
    """Speaks to one service. Close it, or use it in a `with` statement."""

    def submit(
        self,
        spec: ExperimentSpec | Mapping[str, Any] | str,
        *,
        idempotency_key: str | None = None,
        reuse: bool = False,
    ) -> ExperimentPublic:
        """The stored experiment. `spec` is a spec, a document, or JSON text, which is sent as it is.

        With `reuse` an earlier one of the same spec, code and data in its place, if there is one.

        Raises:
            ApiError: the spec was refused (4xx), or the key was used with another one (409).
            ApiUnreachable: nobody answered. (So for every method.)
        """
        headers = {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        params: Params = {"reuse": "true"} if reuse else {}
        return self.ask(
            ExperimentPublic,
            "POST",
            "/experiments",
            content=document_body(spec),
            headers=headers,
            params=params,
        )

    def preview(self, spec: ExperimentSpec | Mapping[str, Any] | str) -> ExperimentPreview:
        """What `spec` would be: expanded, estimated, with what is not there yet; nothing is stored."""
        headers, params = {"Content-Type": "application/json"}, {"validate_only": "true"}
        return self.ask(
            ExperimentPreview,
            "POST",
            "/experiments",
            content=document_body(spec),
            headers=headers,
            params=params,
        )

    def experiment(self, experiment_id: str) -> ExperimentPublic:
        """One experiment as it stands now."""
        return self.ask(ExperimentPublic, "GET", f"/experiments/{segment(experiment_id)}")

    def experiments(
        self,
        *,
        state: Sequence[str] = (),
        method: Sequence[str] = (),
        dataset: Sequence[str] = (),
        tag: Sequence[str] = (),
        sweep: Sequence[str] = (),
        owner: Sequence[str] = (),
        project: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[ExperimentPublic]:
        """Experiments that fit, newest first, at most `limit`; pages are fetched as they are needed.

        `owner`: names of tokens, "@me" for that of one's own.
        """
        filters: Params = {"state": [*state], "method": [*method], "dataset": [*dataset], "tag": [*tag]}
        filters |= {"sweep": [*sweep], "owner": [*owner], "project": [*project]}
        return self.listed(Page[ExperimentPublic], "/experiments", filters, limit)

    def events(self, experiment_id: str) -> Iterator[EventPublic]:
        """Every change of the experiment's state, oldest first."""
        return self.pages(Page[EventPublic], f"/experiments/{segment(experiment_id)}/events", {})

    def logs(self, experiment_id: str, *, offset: int = 0, attempt: int | None = None) -> LogPiece:
        """The log from `offset` bytes on; of all attempts in a row, or of one."""
        return log_piece(self, f"/experiments/{segment(experiment_id)}", offset, attempt)

    def log_as_written(self, experiment_id: str) -> Iterator[str]:
        """The log as it is written, in pieces, until the experiment has ended, over dropped connections."""
        for each in follow(self, f"/experiments/{segment(experiment_id)}/logs/stream"):
            if each.kind == "log":
                yield each.data

    def metrics_as_measured(self, experiment_id: str) -> Iterator[dict[str, Any]]:
        """What the job measures, record by record, until the experiment has ended."""
        for each in follow(self, f"/experiments/{segment(experiment_id)}/metrics/stream"):
            if each.kind == "metrics":
                yield each.data

    def events_as_they_happen(self, experiment_id: str) -> Iterator[EventPublic]:
        """Every change of the experiment's state, oldest first, until it has ended."""
        for each in follow(self, f"/experiments/{segment(experiment_id)}/events/stream"):
            if each.kind == "event":
                yield EventPublic.model_validate(each.data)

    def metrics(
        self, experiment_id: str, *, kind: Literal["train", "eval", "event"] | None = None, after: int = 0
    ) -> MetricsPage:
        """What the job measured, one object a line; `after` = `next_after` of the answer before."""
        params: Params = {"after": after}
        if kind is not None:
            params["kind"] = kind
        return self.ask(MetricsPage, "GET", f"/experiments/{segment(experiment_id)}/metrics", params=params)

    def report(self, experiment_id: str) -> AttemptReport:
        """The report of the newest attempt. 404 while there is none."""
        from trainer.results.report import AttemptReport

        return self.ask(AttemptReport, "GET", f"/experiments/{segment(experiment_id)}/report")

    def cancel(self, experiment_id: str) -> ExperimentPublic:
        """Asks for the experiment's end; its state follows. 409 where it has ended already."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/cancel")

    def retry(self, experiment_id: str) -> ExperimentPublic:
        """Queues one that failed or was cancelled again; a trial gets a job of its own. 409 for others."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/retry")

    def track(self, experiment_id: str) -> ExperimentPublic:
        """Sends everything of one that has ended to MLflow again. 409 for others, and without an MLflow."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/track")

    def compare(self, experiment_ids: Sequence[str], mode: str | None = None) -> Comparison:
        """The table of completed experiments, differences taken to the first.

        `mode`: the way of scoring; None for the first one of the first experiment.
        """
        from trainer.results.compare import Comparison

        return self.ask(Comparison, "GET", "/comparisons", params=_compared(experiment_ids, mode))

    def comparison_document(self, experiment_ids: Sequence[str], mode: str | None = None) -> dict[str, Any]:
        """The same as plain data, for who only shows it: `Comparison` loads numpy."""
        return self.ask(_Object, "GET", "/comparisons", params=_compared(experiment_ids, mode)).root

    def datasets(self) -> list[CatalogueItem]:
        """The data sets a spec can name."""
        return list(self.pages(Page[CatalogueItem], "/datasets", {}))

    def models(self) -> list[CatalogueItem]:
        """The models a spec can name."""
        return list(self.pages(Page[CatalogueItem], "/models", {}))

    def recipes(self) -> list[RecipePublic]:
        """The paper's rows, each as a training that a spec can name."""
        return list(self.pages(Page[RecipePublic], "/recipes", {}))

    def recipe(self, name: str) -> RecipePublic:
        """One of them, such as `table3/deeplabv3plus_r50`."""
        return self.ask(RecipePublic, "GET", f"/recipes/{name}")

    def methods(self) -> list[CatalogueItem]:
        """The methods a spec can name, with the JSON schema of their parameters."""
        return list(self.pages(Page[CatalogueItem], "/methods", {}))

    def ready(self) -> Readiness:
        """What the service needs, each `ok`; ApiError 503 names what is not."""
        return self.ask(Readiness, "GET", "/readyz")

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
        return looks(
            lambda: self.experiment(experiment_id),
            poll_seconds=poll_seconds,
            patience=patience,
            sleep=sleep,
        )

    def wait(self, experiment_id: str, *, poll_seconds: float = POLL_SECONDS) -> ExperimentPublic:
        """The experiment once it has ended, however it ended."""
        *_, last = self.follow(experiment_id, poll_seconds=poll_seconds)
        return last


def _compared(experiment_ids: Sequence[str], mode: str | None) -> Params:
    ids: Params = {"ids": ",".join(experiment_ids)}
    return ids if mode is None else {**ids, "mode": mode}
