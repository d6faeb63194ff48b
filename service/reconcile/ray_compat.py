"""What we use of Ray's job client that its documentation does not promise: seen in 2.60, held by a test.

Where Ray moves it, `tests/unit/service/reconcile/test_ray_compat.py` says so.
"""

from __future__ import annotations

from http import HTTPStatus
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

        def node_resources(self) -> list[dict[str, float]]:
            """Of each node that is alive, from the state API, which `ray list nodes` asks as well."""
            answer = self._do_request("GET", "/api/v0/nodes?detail=true&limit=10000")
            if answer.status_code != HTTPStatus.OK:
                self._raise_error(answer)
            nodes = answer.json()["data"]["result"]["result"]
            return [node["resources_total"] for node in nodes if node["state"] == "ALIVE"]

    return PatientClient(address)
