"""What happens behind the page: a cluster whose jobs go where a test moves them, and what they leave."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx
import numpy as np
from PIL import Image

from service.reconcile.cluster import JobStatus
from service.reconcile.reconciler import Reconciler, utc_now
from service.store.experiments import Store
from tests.data_factories import make_report, scores_of, spec_document
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import failed_report
from tests.unit.service.followup_job import followup_report, leave
from tests.unit.service.served import Service, until
from tests.unit.service.sweep_job import SweepJob, sweep_document
from trainer.results.report import write_report
from trainer.spec.spec import parse_spec

HOSTILE = (
    """<script>document.title="taken"</script>"'><img src=x onerror="document.title='taken'"> & ünï שלום"""
)
ITERATIONS = 2000


class Lab:
    """Experiments of a service, moved by hand."""

    def __init__(self, service: Service, store: Store, headers: dict[str, str] | None = None) -> None:
        self.service = service
        self.storage = service.settings.layout
        self.store = store
        self.http = httpx.Client(base_url=service.url, headers=headers or {})
        self._reconciler = Reconciler(store, service.backend, service.settings, runs=None)

    def step(self) -> None:
        """The reconciler has one pass."""
        self._reconciler.run_once(utc_now())

    def submit(self, **changes: Any) -> str:
        """An experiment that waits."""
        schedule = {"iterations": ITERATIONS}
        answer = self.http.post("/experiments", json=spec_document(schedule=schedule, **changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def sweep(self, **changes: Any) -> SweepJob:
        """A sweep whose job runs."""
        answer = self.http.post("/sweeps", json=sweep_document(**changes))
        assert answer.status_code == 201, answer.text
        identifier = str(answer.json()["id"])
        self._start(identifier)
        return SweepJob.of(self.storage, self.store.sweeps.get(identifier))

    def start(self, experiment: str) -> None:
        """Its job runs."""
        self._start(experiment)

    def train(self, experiment: str, iteration: int, attempt: int = 1) -> None:
        """Records of training and evaluation up to an iteration, and a log."""
        here = self.storage.attempt(experiment, attempt)
        lines, log = [], []
        for done in range(50, iteration + 1, 50):
            loss = 2.2 * np.exp(-done / 600) + 0.25 + 0.06 * np.sin(done / 37)
            lines.append(
                {"kind": "train", "iteration": done, "loss": loss, "seconds_per_iteration": 0.06}
                | {"time": time.time()}
            )
            log.append(f"iteration {done}: loss {loss:.4f}")
            if done % 200 == 0:
                miou = 62 * (1 - np.exp(-done / 700))
                lines.append({"kind": "eval", "iteration": done, "mIoU": miou, "time": time.time()})
                log.append(f"iteration {done}: mIoU {miou:.2f} %")
        here.metrics.write("".join(json.dumps(line) + "\n" for line in lines))
        here.log.write("\n".join(log) + "\n")

    def complete(self, experiment: str, *, tp: int = 60) -> None:
        """Its job has ended with a result."""
        row = self.store.get(experiment)
        self.train(experiment, ITERATIONS, row.attempt)
        leave_checkpoints(self.storage, experiment, ("final", "best"))
        scores = scores_of([[tp, 100 - tp], [0, 100]])
        report = make_report(experiment, scores=scores).model_copy(
            update={"attempt": row.attempt, "spec": parse_spec(json.loads(row.spec))}
        )
        write_report(report, self.storage.attempt(experiment, row.attempt).report)
        self.service.backend.finish(row.job_id)
        self.ended(experiment)

    def fail(self, experiment: str) -> None:
        """Its job has ended with an error that is not worth another try."""
        self.start(experiment)
        write_report(failed_report(experiment), self.storage.attempt(experiment, 1).report)
        self.service.backend.finish(f"{experiment}-1", JobStatus.FAILED)
        self.ended(experiment)

    def ended(self, experiment: str) -> None:
        """Returns once the row has."""

        def look() -> bool:
            self.step()
            return self.store.get(experiment).state.ended

        until(look)

    def predict(self, experiment: str, shade: int = 90) -> str:
        """A picture that it has labelled."""
        answer = self.http.post(
            f"/experiments/{experiment}/predictions",
            content=_png(shade),
            headers={"Content-Type": "image/png"},
        )
        assert answer.status_code == 202, answer.text
        identifier = str(answer.json()["id"])
        here = self.storage.followup(experiment, identifier)
        for file, colour in ((here.labels, 1), (here.overlay, shade + 60), (here.legend, 200)):
            file.write(_png(colour))
        self._leave(identifier)
        return identifier

    def evaluate(self, experiment: str) -> str:
        """It was scored again."""
        answer = self.http.post(f"/experiments/{experiment}/evaluations", json={"modes": ["multi_scale"]})
        assert answer.status_code == 201, answer.text
        self._leave(str(answer.json()["id"]))
        return str(answer.json()["id"])

    def _leave(self, followup: str) -> None:
        leave(self.storage, followup_report(self.store.followups.get(followup)))

        def look() -> bool:
            self.step()
            return self.store.followups.get(followup).state.ended

        until(look)

    def _start(self, identifier: str) -> None:
        job = f"{identifier}-1"

        def submitted() -> bool:
            self.step()
            return job in self.service.backend.jobs

        until(submitted)
        self.service.backend.run(job)
        self.step()


@contextmanager
def lab_of(service: Service, headers: dict[str, str] | None = None) -> Iterator[Lab]:
    """A lab over a service, closed in the end."""
    with closing(Store(service.settings.database)) as store:
        made = Lab(service, store, headers)
        with made.http:
            yield made


def completed(lab: Lab, names: Sequence[str], **changes: Any) -> list[str]:
    """Experiments with results, one for each name."""
    made = [lab.submit(name=name, seed=seed, **changes) for seed, name in enumerate(names)]
    for place, each in enumerate(made):
        lab.start(each)
        lab.complete(each, tp=60 + 5 * place)
    return made


def _png(shade: int) -> bytes:
    """A small picture of stripes."""
    stream = io.BytesIO()
    stripes = np.tile(np.arange(240, dtype=np.uint8) // 2, (160, 1)) + shade
    Image.fromarray(np.stack([stripes.astype(np.uint8)] * 3, axis=-1)).save(stream, "PNG")
    return stream.getvalue()
