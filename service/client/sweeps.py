"""The client's half about sweeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from service.shared.schemas import EventPublic, Page

if TYPE_CHECKING:  # they load the catalogues or numpy: only who asks for a sweep pays for it
    from service.shared.sweep_schemas import SweepPreview, SweepPublic
    from sweeps.document.spec import SweepSpec
    from sweeps.results.table import Table

TableFormat = Literal["json", "markdown", "csv", "latex"]


class SweepCalls(ApiCaller):
    """What can be asked about sweeps; errors are those of every method, see `RebalanceClient.submit`."""

    def submit_sweep(
        self,
        spec: SweepSpec | Mapping[str, Any] | str,
        *,
        idempotency_key: str | None = None,
        reuse: bool = False,
    ) -> SweepPublic:
        """The stored sweep. `spec` is a spec, a document, or JSON text, which is sent as it is.

        With `reuse` an earlier one of the same document, code and data in its place, if there is one.
        """
        from service.shared.sweep_schemas import SweepPublic

        headers = {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        params: Params = {"reuse": "true"} if reuse else {}
        return self.ask(
            SweepPublic, "POST", "/sweeps", content=document_body(spec), headers=headers, params=params
        )

    def preview_sweep(self, spec: SweepSpec | Mapping[str, Any] | str) -> SweepPreview:
        """The trials a sweep would have, and what they would cost; nothing is stored."""
        from service.shared.sweep_schemas import SweepPreview

        headers = {"Content-Type": "application/json"}
        params: Params = {"validate_only": "true"}
        return self.ask(
            SweepPreview, "POST", "/sweeps", content=document_body(spec), headers=headers, params=params
        )

    def sweep(self, sweep_id: str, *, trials: int | None = None) -> SweepPublic:
        """One sweep as it stands now, with at most so many `trials` (1000)."""
        from service.shared.sweep_schemas import SweepPublic

        params: Params = {} if trials is None else {"trials": trials}
        return self.ask(SweepPublic, "GET", f"/sweeps/{segment(sweep_id)}", params=params)

    def sweeps(
        self,
        *,
        state: Sequence[str] = (),
        owner: Sequence[str] = (),
        project: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[SweepPublic]:
        """Sweeps, newest first, at most `limit`, without their trials."""
        from service.shared.sweep_schemas import SweepPublic

        filters: Params = {"state": [*state], "owner": [*owner], "project": [*project]}
        return self.listed(Page[SweepPublic], "/sweeps", filters, limit)

    def track_sweep(self, sweep_id: str) -> SweepPublic:
        """Sends the own run of one that has ended to MLflow again. 409 for others, and without an MLflow."""
        from service.shared.sweep_schemas import SweepPublic

        return self.ask(SweepPublic, "POST", f"/sweeps/{segment(sweep_id)}/track")

    def sweep_events(self, sweep_id: str) -> Iterator[EventPublic]:
        """Every change of the sweep's own state, oldest first."""
        return self.pages(Page[EventPublic], f"/sweeps/{segment(sweep_id)}/events", {})

    def sweep_table(self, sweep_id: str) -> Table:
        """What the sweep has measured so far."""
        from sweeps.results.table import Table

        return self.ask(Table, "GET", f"/sweeps/{segment(sweep_id)}/table")

    def sweep_table_text(self, sweep_id: str, form: TableFormat) -> str:
        """The same as text."""
        params: Params = {"format": form}
        return self.send("GET", f"/sweeps/{segment(sweep_id)}/table", params=params).text

    def extend_sweep(
        self,
        sweep_id: str,
        *,
        seeds: int | Sequence[int] | None = None,
        axes: Mapping[str, Sequence[Any]] | None = None,
        trials: int | None = None,
    ) -> SweepPublic:
        """Adds trials to one that has completed, and queues it again.

        Args:
            seeds: so many more, or these.
            axes: more values of grids, by the pointer of their axis.
            trials: so many more draws, of `random` and `optuna`.
        """
        from service.shared.sweep_schemas import SweepPublic

        asked = {"seeds": seeds if seeds is None or isinstance(seeds, int) else [*seeds], "trials": trials}
        document: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        if axes:
            document["axes"] = {pointer: [*values] for pointer, values in axes.items()}
        return self.ask(SweepPublic, "POST", f"/sweeps/{segment(sweep_id)}/extend", json=document)

    def cancel_sweep(self, sweep_id: str) -> SweepPublic:
        """Asks for its end; its state follows. 409 where it has ended already. (So for the next two.)"""
        return self._change(sweep_id, "cancel")

    def pause_sweep(self, sweep_id: str) -> SweepPublic:
        """No further trial is started; those that run finish."""
        return self._change(sweep_id, "pause")

    def resume_sweep(self, sweep_id: str) -> SweepPublic:
        """Trials are started again."""
        return self._change(sweep_id, "resume")

    def follow_sweep(
        self,
        sweep_id: str,
        *,
        poll_seconds: float = POLL_SECONDS,
        patience: int = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[SweepPublic]:
        """The sweep as seen now and every `poll_seconds`, without its trials; the last one seen has ended."""
        return looks(
            lambda: self.sweep(sweep_id, trials=0),
            poll_seconds=poll_seconds,
            patience=patience,
            sleep=sleep,
        )

    def _change(self, sweep_id: str, what: str) -> SweepPublic:
        from service.shared.sweep_schemas import SweepPublic

        return self.ask(SweepPublic, "POST", f"/sweeps/{segment(sweep_id)}/{what}")
