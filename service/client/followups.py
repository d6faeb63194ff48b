"""The client's part about what is done with a trained experiment, and about its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from service.client.http import (
    PATIENCE,
    POLL_SECONDS,
    ApiCaller,
    Params,
    document_body,
    looks,
    segment,
)
from service.client.logs import LogPiece, log_piece
from service.shared.schemas import EventPublic, Page
from trainer.base.files import writing_atomically

if TYPE_CHECKING:  # they load the specs or numpy: only who asks for a follow-up pays for it
    from service.shared.followup_schemas import (
        CheckpointPublic,
        FilesPublic,
        FollowupPublic,
        PrunedPublic,
    )
    from trainer.results.followup import FollowupReport
    from trainer.spec.followups import EvaluationRequest, Format

View = Literal["labels", "overlay", "legend"]
Checkpoint = str | int
_PNG_SIGNATURE = b"\x89PNG"


class FollowupCalls(ApiCaller):
    """What can be asked about follow-ups; errors are those of every method, see `RebalanceClient.submit`."""

    def evaluate(
        self,
        experiment_id: str,
        request: EvaluationRequest | Mapping[str, Any] | str = "{}",
        *,
        idempotency_key: str | None = None,
    ) -> FollowupPublic:
        """A checkpoint scored again. 409 where it is not there."""
        return self._post(experiment_id, "evaluations", document_body(request), idempotency_key)

    def evaluations(
        self, experiment_id: str, *, state: Sequence[str] = (), limit: int | None = None
    ) -> Iterator[FollowupPublic]:
        """Its evaluations, newest first, at most `limit`."""
        return self._list(experiment_id, "evaluations", state, limit)

    def export(
        self,
        experiment_id: str,
        formats: Sequence[Format],
        *,
        checkpoint: Checkpoint = "final",
        idempotency_key: str | None = None,
    ) -> FollowupPublic:
        """A checkpoint in other programs' formats."""
        body = document_body({"formats": [*formats], "checkpoint": checkpoint})
        return self._post(experiment_id, "exports", body, idempotency_key)

    def exports(
        self, experiment_id: str, *, state: Sequence[str] = (), limit: int | None = None
    ) -> Iterator[FollowupPublic]:
        """Its exports, newest first, at most `limit`."""
        return self._list(experiment_id, "exports", state, limit)

    def export_files(self, export: FollowupPublic) -> FilesPublic:
        """What an export has kept, and what the model does not allow."""
        from service.shared.followup_schemas import FilesPublic

        return self.ask(FilesPublic, "GET", str(export.links.files))

    def start_prediction(
        self,
        experiment_id: str,
        picture: bytes,
        *,
        mode: str = "single_scale",
        checkpoint: Checkpoint = "final",
        idempotency_key: str | None = None,
    ) -> FollowupPublic:
        """Queues the prediction of a picture, a PNG or JPEG as bytes. 422 where it is none."""
        media = "image/png" if picture.startswith(_PNG_SIGNATURE) else "image/jpeg"
        params: Params = {"mode": mode, "checkpoint": checkpoint}
        return self._post(experiment_id, "predictions", picture, idempotency_key, media=media, params=params)

    def predict(
        self,
        experiment_id: str,
        picture: bytes,
        *,
        mode: str = "single_scale",
        checkpoint: Checkpoint = "final",
        view: View = "labels",
        poll_seconds: float = POLL_SECONDS,
    ) -> bytes:
        """A picture's labels as a PNG, once they are there. 409 where the prediction failed."""
        asked = self.start_prediction(experiment_id, picture, mode=mode, checkpoint=checkpoint)
        self.wait_followup(asked.id, poll_seconds=poll_seconds)
        return self.prediction_picture(asked, view=view)

    def prediction_picture(self, prediction: FollowupPublic, *, view: View = "labels") -> bytes:
        """The PNG of one that has completed. 409 where it failed."""
        headers = {"Accept": "image/png"}
        return self.send("GET", prediction.links.self, params={"view": view}, headers=headers).content

    def predictions(
        self, experiment_id: str, *, state: Sequence[str] = (), limit: int | None = None
    ) -> Iterator[FollowupPublic]:
        """Its predictions, newest first, at most `limit`."""
        return self._list(experiment_id, "predictions", state, limit)

    # ------------------------------------------------------------ of every kind

    def followup(self, followup_id: str) -> FollowupPublic:
        """One follow-up as it stands now."""
        return self._followup("GET", f"/followups/{segment(followup_id)}")

    def followup_events(self, followup_id: str) -> Iterator[EventPublic]:
        """Every change of its state, oldest first."""
        return self.pages(Page[EventPublic], f"/followups/{segment(followup_id)}/events", {})

    def followup_logs(self, followup_id: str, *, offset: int = 0, attempt: int | None = None) -> LogPiece:
        """The log from `offset` bytes on; of all attempts in a row, or of one."""
        return log_piece(self, f"/followups/{segment(followup_id)}", offset, attempt)

    def followup_report(self, followup_id: str) -> FollowupReport:
        """The report of the newest attempt. 404 while there is none."""
        from trainer.results.followup import FollowupReport

        return self.ask(FollowupReport, "GET", f"/followups/{segment(followup_id)}/report")

    def cancel_followup(self, followup_id: str) -> FollowupPublic:
        """Asks for its end; its state follows. 409 where it has ended already."""
        return self._followup("POST", f"/followups/{segment(followup_id)}/cancel")

    def retry_followup(self, followup_id: str) -> FollowupPublic:
        """Queues one that failed or was cancelled again. 409 for others."""
        return self._followup("POST", f"/followups/{segment(followup_id)}/retry")

    def follow_followup(
        self,
        followup_id: str,
        *,
        poll_seconds: float = POLL_SECONDS,
        patience: int = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[FollowupPublic]:
        """It as seen now and every `poll_seconds`, up to its end: as `RebalanceClient.follow`."""
        return looks(
            lambda: self.followup(followup_id), poll_seconds=poll_seconds, patience=patience, sleep=sleep
        )

    def wait_followup(self, followup_id: str, *, poll_seconds: float = POLL_SECONDS) -> FollowupPublic:
        """It once it has ended, however it ended."""
        *_, last = self.follow_followup(followup_id, poll_seconds=poll_seconds)
        return last

    # ------------------------------------------------------------ checkpoints

    def checkpoints(self, experiment_id: str) -> tuple[CheckpointPublic, ...]:
        """Those that are kept."""
        from service.shared.followup_schemas import CheckpointsPublic

        return self.ask(CheckpointsPublic, "GET", f"/experiments/{segment(experiment_id)}/checkpoints").items

    def download_checkpoint(self, experiment_id: str, name: Checkpoint, path: Path) -> None:
        """Keeps a checkpoint (`final`, `best`, `last`, `iter_N`) as `path`, whole or not at all.

        Raises:
            OSError: it cannot be written; DiskFull where there is no room.
        """
        where = f"/experiments/{segment(experiment_id)}/checkpoints/{segment(str(name))}"
        with self.streaming("GET", where) as chunks, writing_atomically(path) as stream:
            for chunk in chunks:
                stream.write(chunk)

    def prune(
        self,
        experiment_id: str,
        *,
        keep: Sequence[Checkpoint] | None = None,
        remove: Sequence[Checkpoint] | None = None,
    ) -> PrunedPublic:
        """Removes all but those to `keep` and `final`, or those to `remove`. 409 while they are in use."""
        from service.shared.followup_schemas import PrunedPublic

        asked = {"keep": keep, "remove": remove}
        body = document_body({name: [*each] for name, each in asked.items() if each is not None})
        where = f"/experiments/{segment(experiment_id)}/checkpoints/prune"
        headers = {"Content-Type": "application/json"}
        return self.ask(PrunedPublic, "POST", where, content=body, headers=headers)

    # ------------------------------------------------------------

    def _post(
        self,
        experiment_id: str,
        what: str,
        content: bytes,
        key: str | None,
        *,
        media: str = "application/json",
        params: Params | None = None,
    ) -> FollowupPublic:
        headers = {"Content-Type": media} | ({} if key is None else {"Idempotency-Key": key})
        where = f"/experiments/{segment(experiment_id)}/{what}"
        return self._followup("POST", where, content=content, headers=headers, params=params or {})

    def _list(
        self, experiment_id: str, what: str, state: Sequence[str], limit: int | None
    ) -> Iterator[FollowupPublic]:
        from service.shared.followup_schemas import FollowupPublic

        where = f"/experiments/{segment(experiment_id)}/{what}"
        return self.listed(Page[FollowupPublic], where, {"state": [*state]}, limit)

    def _followup(self, method: str, path: str, **request: Any) -> FollowupPublic:
        from service.shared.followup_schemas import FollowupPublic

        return self.ask(FollowupPublic, method, path, **request)
