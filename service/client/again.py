"""Calls for what was run before, and is asked for again."""

from __future__ import annotations

from typing import Any, Literal

from service.client.http import ApiCaller, segment
from service.shared.schemas import ExperimentPublic


class AgainCalls(ApiCaller):
    """The part of `RebalanceClient` about more of what was run before."""

    def extend(
        self,
        experiment_id: str,
        iterations: int,
        *,
        rate: Literal["rescaled", "constant", "rewarmed"] = "rescaled",
        learning_rate: float | None = None,
        idempotency_key: str | None = None,
    ) -> ExperimentPublic:
        """A new experiment: so many further iterations from the last checkpoint of one that completed.

        Args:
            learning_rate: the one that `constant` holds; None: see docs/api.md.

        Raises:
            ApiError: it did not complete, or has no checkpoint to go on from (409); it cannot be meant (422).
        """
        document: dict[str, Any] = {"iterations": iterations, "rate": rate}
        if learning_rate is not None:
            document["learning_rate"] = learning_rate
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        path = f"/experiments/{segment(experiment_id)}/extend"
        return self.ask(ExperimentPublic, "POST", path, json=document, headers=headers)
