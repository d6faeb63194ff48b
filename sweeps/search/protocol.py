"""What a search asks of the sweep's driver: the only calls between the two, in our words.

The search chooses, the driver runs. `sweeps.search.tune` speaks this on Tune's behalf, and
`sweeps.driver.begun_trials.BegunTrials` answers.
"""

from __future__ import annotations

from typing import Protocol

from sweeps.document.expand import Trial
from trainer.base.errors import StoppedEarly


class TrialDriver(Protocol):
    """Who runs the trials that a search chooses.

    The search calls from one thread, and no call waits for training. How a trial does is not told through
    here: it stands in the trial's run directory, where `sweeps.search.evaluations` reads it. So a search that
    begins again learns of trials that ended long ago as of those that run.
    """

    def room(self) -> int:
        """How many trials may be under way at a time, as things stand; 0 while the sweep is paused."""

    def may_begin(self) -> bool:
        """Whether a further trial may be begun. Once a limit of the sweep is reached, False for good.

        Asked only while there is one to begin: a limit that leaves no trial out is none.
        """

    def begin(self, trial: Trial, *, last: bool) -> None:
        """Has the trial trained as soon as there is a place for it.

        One that an earlier driver began is resumed from its last checkpoint, in another attempt; one that has
        ended, or is no longer the sweep's, is left as it is. `last`: no other follows, so that
        workers without work may end.
        """

    def stop(self, number: int, reason: StoppedEarly) -> None:
        """Gives a trial up: it ends at its next record, its report says why, its checkpoints stay.

        Nothing happens to one that has ended.
        """

    def check_in(self) -> None:
        """Called in each round of the search: ends this process if a newer driver has the sweep."""
