"""The client's half about an experiment on its way: it rests, and goes on."""

from __future__ import annotations

from service.client.http import ApiCaller, segment
from service.shared.schemas import ExperimentPublic


class RunningCalls(ApiCaller):
    """What is asked of one that has not ended; errors as in `RebalanceClient.submit`."""

    def pause(self, experiment_id: str) -> ExperimentPublic:
        """Asks it to rest at its next checkpoint; its state follows. 409 of what has ended, and of trials."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/pause")

    def resume(self, experiment_id: str) -> ExperimentPublic:
        """Queues one that is paused again; it goes on from its checkpoint. 409 as for `pause`."""
        return self.ask(ExperimentPublic, "POST", f"/experiments/{segment(experiment_id)}/resume")
