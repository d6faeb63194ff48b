"""The steps, as a user meets them one after another. Each says what it has seen, or raises Failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from . import documents
from .api import Failed, NobodyAnswers, Refused, Server
from .following import Following
from .options import Options
from .pictures import picture, refuse_other_size

_LONG = 50_000  # iterations: an hour, and none of it wanted


class Smoke:
    """What one run knows: the deployment, and the experiment that later steps go on with."""

    def __init__(self, options: Options, following: Following) -> None:
        self._options = options
        self._api = options.api
        self._following = following
        self._name = f"smoke {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}"
        self._experiment = ""

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """Name and function of each; a function's answer is what was seen."""
        named: list[tuple[str, Callable[[], str]]] = [
            ("ready", self.ready),
            ("post", self.post),
            ("follow", self.follow),
            ("report", self.report),
            ("mlflow", self.mlflow),
            ("cancel", self.cancel),
            ("sweep", self.sweep),
            ("prediction", self.prediction),
        ]
        return [*named, ("gpus", self.gpus)] if self._options.gpus else named

    def ready(self) -> str:
        """Every part is well: a degraded one takes requests, but would not come to their end."""

        def seen() -> tuple[bool, str]:
            try:
                found = self._api.get("/readyz")
            except Refused as error:
                if error.status in (502, 503, 504):
                    return False, str(error)
                raise
            except NobodyAnswers as error:
                return False, str(error)
            if not isinstance(found, dict) or "status" not in found:
                raise Failed(f"{self._api.url}/readyz is no answer of this service")
            bad = {name: why for name, why in found.get("checks", {}).items() if why != "ok"}
            told = "; ".join(f"{name}: {why}" for name, why in bad.items())
            return found["status"] == "ok", told or f"{found['status']}; a viewer's token is told why"

        self._following.until(seen, "is not ready")
        version = self._api.get("/healthz").get("version", "of no version")
        return f"{self._api.url} is ready, version {version}"

    def post(self) -> str:
        """An experiment is stored."""
        self._experiment = self._following.begin("/experiments", documents.experiment(self._name))
        return f"experiment {self._experiment} is stored"

    def follow(self) -> str:
        """It completes."""
        found = self._following.completed(f"/experiments/{self._experiment}")
        return f"completed, attempt {found['attempt']}"

    def report(self) -> str:
        """Its report has scores of all pictures."""
        report = self._api.get(f"/experiments/{self._experiment}/report")
        try:
            scores = report["result"]["evaluation"]["single_scale"]
            return f"mIoU {scores['mIoU']:.2f} % over {scores['images']} pictures"
        except (KeyError, TypeError):
            raise Failed(f"the report has no scores of single_scale: {str(report)[:300]}") from None

    def mlflow(self) -> str:
        """Its run is in MLflow: asked there where it can be reached from here, else by the service's word."""

        def seen() -> tuple[bool, str]:
            found = self._api.get(f"/experiments/{self._experiment}")
            tracking = found.get("tracking") or {}
            return tracking.get("state") == "ok" and bool(found.get("mlflow_run_id")), (
                tracking.get("detail")
                or "the service names no run; does it know an MLflow (REBALANCE_MLFLOW_URI)?"
            )

        self._following.until(seen, "the run is not in MLflow")
        found = self._api.get(f"/experiments/{self._experiment}")
        run, link = found["mlflow_run_id"], found["links"].get("mlflow")
        if self._options.mlflow is not None:
            return _finished(self._options.mlflow, run)
        if link is None:
            return f"run {run}, by the service's word: it links no MLflow (--mlflow URL asks one)"
        parts = urlsplit(link)
        server = Server(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")
        try:
            return _finished(server, run)
        except (NobodyAnswers, Refused) as error:
            return f"run {run}, by the service's word; from here: {error} (--mlflow asks there, logged in)"

    def cancel(self) -> str:
        """One that would train for long ends soon after it is asked to."""
        identifier = self._following.begin(
            "/experiments", documents.experiment(f"{self._name}, cancelled", iterations=_LONG)
        )
        path = f"/experiments/{identifier}"
        self._following.reached(path, ("running",))
        asked = time.monotonic()
        self._api.ask("POST", f"{path}/cancel")
        self._following.reached(path, ("cancelled",))
        return f"{identifier} ended {time.monotonic() - asked:.1f} s after it was asked to"

    def sweep(self) -> str:
        """Both trials complete, and the table has both."""
        identifier = self._following.begin("/sweeps", documents.sweep(self._name))
        counts = self._following.completed(f"/sweeps/{identifier}")["counts"]
        if (counts["completed"], counts["total"]) != (2, 2):
            raise Failed(f"{identifier} is completed with other trials than two: {counts}")
        rows = self._api.get(f"/sweeps/{identifier}/table")["blocks"][0]["rows"]
        if len(rows) != 2:
            raise Failed(f"the table of {identifier} has {len(rows)} rows, not 2")
        return f"{identifier}: 2 trials, a table of 2 rows"

    def prediction(self) -> str:
        """A picture comes back labelled."""
        path = f"/experiments/{self._experiment}/predictions"
        identifier = self._following.begin(path, picture(), kind="image/png", at="/followups")
        self._following.completed(f"/followups/{identifier}")
        refuse_other_size(self._api.ask("GET", f"{path}/{identifier}", accept="image/png").body)
        return "a picture of 64×64 pixels is labelled"

    def gpus(self) -> str:
        """A row of the paper trains on so many GPUs."""
        gpus, data = self._options.gpus, self._options.data
        identifier = self._following.begin("/experiments", documents.row(f"{self._name}, row", gpus, data))
        self._following.completed(f"/experiments/{identifier}")
        items = self._api.get(f"/experiments/{identifier}/metrics")["items"]
        paces = [each["seconds_per_iteration"] for each in items if each.get("seconds_per_iteration")]
        pace = f", {paces[-1]:.3f} s a step at last" if paces else ""
        return f"{identifier}: {documents.STEPS_OF_ROW} steps on {gpus} GPU(s){pace}"


def _finished(server: Server, run: str) -> str:
    """Raises Failed where MLflow has not this run, finished."""
    found = server.get(f"/api/2.0/mlflow/runs/get?run_id={run}")
    status = found.get("run", {}).get("info", {}).get("status") if isinstance(found, dict) else None
    if status != "FINISHED":
        raise Failed(f"{server.url} says of run {run}: {status or str(found)[:200]}; wanted: FINISHED")
    return f"run {run} is finished at {server.url}"
