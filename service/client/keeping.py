"""The client's part about what is deleted, and about who asked for which change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.client.http import ApiCaller, Params, segment
from service.shared.schemas import Page

if TYPE_CHECKING:
    from service.shared.keeping.gc_schemas import GcPublic
    from service.shared.keeping.schemas import DeedPublic, DeletedPublic


class KeepingCalls(ApiCaller):
    """What can be deleted, and what is on record; errors as in `RebalanceClient.submit`."""

    def delete(self, experiment_id: str, *, artifacts: bool = False) -> DeletedPublic:
        """Deletes an experiment that has ended; with `artifacts` its files and MLflow's run, too.

        409 where it has not ended, is a trial, or is read by something that has not ended.
        """
        return self._delete(f"/experiments/{segment(experiment_id)}", artifacts)

    def delete_sweep(self, sweep_id: str, *, artifacts: bool = False) -> DeletedPublic:
        """The same of a sweep, with its trials."""
        return self._delete(f"/sweeps/{segment(sweep_id)}", artifacts)

    def delete_followup(self, followup_id: str, *, artifacts: bool = False) -> DeletedPublic:
        """The same of an evaluation, a prediction or an export."""
        return self._delete(f"/followups/{segment(followup_id)}", artifacts)

    def audit(
        self,
        *,
        actor: Sequence[str] = (),
        action: Sequence[str] = (),
        kind: Sequence[str] = (),
        subject: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[DeedPublic]:
        """Changes that somebody asked for, newest first, at most `limit`; for administrators."""
        from service.shared.keeping.schemas import DeedPublic

        filters: Params = {"actor": [*actor], "action": [*action], "kind": [*kind], "subject": [*subject]}
        return self.listed(Page[DeedPublic], "/audit", filters, limit)

    def gc(self, *, dry_run: bool, older_than: str | int | None = None, only: Sequence[str] = ()) -> GcPublic:
        """Takes away what no rule keeps any longer, or only says what would go; for administrators.

        A call ends after some 20 s: `more` says whether there is more, for the same call to do.
        """
        from service.shared.keeping.gc_schemas import GcPublic

        asked = {"dry_run": dry_run, "older_than": older_than, "only": [*only] or None}
        return self.ask(
            GcPublic,
            "POST",
            "/admin/gc",
            content=json.dumps({name: value for name, value in asked.items() if value is not None}),
            headers={"Content-Type": "application/json"},
        )

    def _delete(self, path: str, artifacts: bool) -> DeletedPublic:
        from service.shared.keeping.schemas import DeletedPublic

        return self.ask(DeletedPublic, "DELETE", path, params={"artifacts": "true"} if artifacts else {})
