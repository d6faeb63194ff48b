"""The client's part about reports: figures and tables in one HTML file, or one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.client.http import ApiCaller, Params, segment

FigureForm = Literal["svg", "png", "csv"]
_DRAWING_SECONDS = 120.0  # others may be drawn first


class ReportCalls(ApiCaller):
    """What can be asked about reports; errors are those of every method, see `RebalanceClient.submit`."""

    def comparison_report(
        self,
        experiment_ids: Sequence[str],
        mode: str | None = None,
        *,
        figure: str | None = None,
        form: FigureForm = "svg",
    ) -> bytes:
        """The report of completed experiments as HTML; with `figure` that one, 404 where it is not drawn.

        `mode`: the way of scoring; None for the first one of the first experiment.
        """
        params: Params = {"ids": ",".join(experiment_ids)}
        if mode is not None:
            params["mode"] = mode
        return self._drawn("/comparisons/report", params, figure, form)

    def sweep_report(self, sweep_id: str, *, figure: str | None = None, form: FigureForm = "svg") -> bytes:
        """The same of a sweep, as far as it has come. 404 where no trial has completed."""
        return self._drawn(f"/sweeps/{segment(sweep_id)}/report", {}, figure, form)

    def _drawn(self, path: str, params: Params, figure: str | None, form: FigureForm) -> bytes:
        chosen: Params = {} if figure is None else {"figure": figure, "format": form}
        return self.send("GET", path, params={**params, **chosen}, timeout=_DRAWING_SECONDS).content
