"""The newest attempt at an experiment, as storage has it, for who sends something to its run afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.base.documents import parse_document
from trainer.base.errors import ReportError
from trainer.results.report import read_report
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.task import Task


def newest(storage: Storage, experiment: str, uri: str, tags: Mapping[str, str]) -> Task:
    """The experiment's newest attempt.

    Raises:
        ReportError: storage has none of it.
        SpecError, MalformedDocument, OSError: its spec cannot be read.
    """
    attempt = storage.newest_attempt(experiment)
    if attempt == 0:
        raise ReportError(f"{storage.experiment(experiment)}: no attempt is there")
    here = storage.attempt(experiment, attempt)
    report = read_report(here.report)
    spec = report.spec if report is not None else parse_spec(parse_document(here.spec.read_bytes()))
    return Task(
        experiment=experiment,
        attempt=attempt,
        spec=spec,
        storage=str(storage.root),
        mlflow_uri=uri,
        mlflow_tags=dict(tags),
    )
