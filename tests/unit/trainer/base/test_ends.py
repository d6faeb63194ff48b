"""One vocabulary of ends, and what follows from each."""

from __future__ import annotations

import pytest

from service.shared.sweep_schemas import TrialCounts
from sweeps.results.report import EndCounts
from tests.data_factories import make_report
from trainer.base.ends import End, ExitCode
from trainer.base.errors import Cancelled, DataError, StoppedEarly
from trainer.results.report import AttemptError, AttemptReport


@pytest.mark.parametrize(
    ("error", "end", "code", "status"),
    [
        (None, End.COMPLETED, ExitCode.DONE, "FINISHED"),
        (DataError("m"), End.FAILED, ExitCode.FAILED, "FAILED"),
        (KeyError("m"), End.FAILED, ExitCode.FAILED, "FAILED"),
        (Cancelled("m"), End.CANCELLED, ExitCode.TERMINATED, "KILLED"),
        (StoppedEarly("m"), End.STOPPED, ExitCode.TERMINATED, "KILLED"),
    ],
)
def test_an_error_means_an_end(error: Exception | None, end: End, code: ExitCode, status: str) -> None:
    """Exit code and MLflow's status follow from how it ended, and that from the error alone."""
    assert End.of(error) is end
    assert (end.exit_code, end.mlflow_status) == (code, status)


def test_stopped_early_is_reported_as_cancelled() -> None:
    """Reports and states know three ends, as they always have; the fourth shows in a report's error."""
    assert {end.reported for end in End} == {End.COMPLETED, End.FAILED, End.CANCELLED}
    assert End.STOPPED.reported is End.CANCELLED


@pytest.mark.parametrize(
    ("state", "kind", "end"),
    [
        ("completed", None, End.COMPLETED),
        ("failed", "DataError", End.FAILED),
        ("cancelled", "Cancelled", End.CANCELLED),
        ("cancelled", "StoppedEarly", End.STOPPED),
    ],
)
def test_a_stored_report_tells_its_end(state: str, kind: str | None, end: End) -> None:
    """Its JSON has the words it always had, and is read back as it was."""
    error = AttemptError(type=kind, message="m") if kind else None
    document = make_report().model_dump(mode="json") | {"state": state, "error": error and error.model_dump()}
    report = AttemptReport.model_validate_json(AttemptReport.model_validate(document).model_dump_json())
    assert report.model_dump(mode="json")["state"] == state
    assert report.end is end


def test_counts_have_a_field_for_each_end() -> None:
    """A sweep's report and what the API answers count in the same words."""
    assert {*EndCounts.model_fields} == {*End, "waiting"}
    assert {*TrialCounts.model_fields} == {*End, "waiting", "running", "total"}
