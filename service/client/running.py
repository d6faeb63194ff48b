"""The client's half about what is on its way: it rests, goes on, and has tries."""

from __future__ import annotations

from collections.abc import Iterator

from service.client.http import ApiCaller, segment
from service.shared.attempt_schemas import AttemptPublic
from service.shared.schemas import ExperimentPublic, Page


class RunningCalls(ApiCaller):
    """What is asked of one on its way; errors as in `RebalanceClient.submit`."""

    def pause(self, experiment_id: str) -> ExperimentPublic:
        """Asks it to rest at its next checkpoint; its state follows. 409 of what has ended, and of trials."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/pause")

    def resume(self, experiment_id: str) -> ExperimentPublic:
        """Queues one that is paused again; it goes on from its checkpoint. 409 as for `pause`."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/resume")

    def attempts(self, experiment_id: str) -> Iterator[AttemptPublic]:
        """Each job of the experiment's own on record, the first one first."""
        return self.pages(Page[AttemptPublic], f"/experiments/{segment(experiment_id)}/attempts", {})

    def sweep_attempts(self, sweep_id: str) -> Iterator[AttemptPublic]:
        """The same of a sweep."""
        return self.pages(Page[AttemptPublic], f"/sweeps/{segment(sweep_id)}/attempts", {})

    def followup_attempts(self, followup_id: str) -> Iterator[AttemptPublic]:
        """The same of a follow-up."""
        return self.pages(Page[AttemptPublic], f"/followups/{segment(followup_id)}/attempts", {})
