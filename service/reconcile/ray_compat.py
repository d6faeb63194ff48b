"""What we use of Ray's job client that its documentation does not promise: seen in 2.60, held by a test.

Where Ray moves it, `tests/unit/service/reconcile/test_ray_compat.py` says so.
"""

from __future__ import annotations

from typing import Any


def patient_client(
    address: str, *, connect_seconds: float, answer_seconds: float, proxies: dict[str, str | None]
) -> Any:
    """Ray's client, which waits for an answer for ever, made to give up, and to take `proxies`."""
    from ray.job_submission import JobSubmissionClient

    class PatientClient(JobSubmissionClient):  # type: ignore[misc]
        def _do_request(self, method: str, endpoint: str, **arguments: Any) -> Any:
            limits = {"timeout": (connect_seconds, answer_seconds), "proxies": proxies}
            return super()._do_request(method, endpoint, **{**limits, **arguments})

    return PatientClient(address)
