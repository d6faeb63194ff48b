"""The port on Ray's Jobs API."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from service.reconcile.cluster import (
    BackendError,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    SubmitRefused,
)
from service.reconcile.jobs_api import CallRefused, JobsApi, NoSuchJob
from trainer.spec.capacity import larger
from trainer.spec.recipes import Machines

_ANSWER_SECONDS = 30.0
# Ray lists every job that its head has ever had. Where those asked for are few among them, the list costs
# more than a question for each, and is let be for a while.
_MANY = 20
_WORTH = 20  # listed for one that is asked for
_LIST_AGAIN_SECONDS = 300.0
_STATUS = {
    "PENDING": JobStatus.PENDING,
    "RUNNING": JobStatus.RUNNING,
    "SUCCEEDED": JobStatus.SUCCEEDED,
    "FAILED": JobStatus.FAILED,
    "STOPPED": JobStatus.STOPPED,
}


class _Node(BaseModel):
    """What the state API says of a node, as far as we look."""

    state: str
    resources_total: dict[str, float]


class _Nodes(BaseModel):
    result: list[_Node]


class _NodesResult(BaseModel):
    result: _Nodes


class _NodesAnswer(BaseModel):
    data: _NodesResult


class RayBackend:
    """Runs command lines as jobs of the cluster whose Jobs API is at `address`. Close it at the end.

    `most`: what the cluster may grow to, where that is declared.
    """

    def __init__(
        self,
        address: str,
        *,
        most: Machines | None = None,
        answer_seconds: float = _ANSWER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ProxyRefused where the environment names a proxy for `address` that cannot be used."""
        self._address = address
        self._most = most
        self._api = JobsApi(address, answer_seconds=answer_seconds)
        self._clock = clock
        self._list_again_at = float("-inf")

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        """See `Backend.submit`. Without resources named, Ray starts the driver on the head and takes none."""
        wanted = {
            "entrypoint": shlex.join(command),
            "submission_id": job_id,
            "metadata": dict(metadata),
            "entrypoint_num_cpus": 0,
            "entrypoint_num_gpus": 0,
        }
        try:
            self._api.ask("POST", "/api/jobs/", wanted)
        except CallRefused as error:
            raise SubmitRefused(str(error)) from error

    def status(self, job_id: str) -> JobObservation:
        """See `Backend.status`. A head that was started again knows no earlier job: GONE."""
        try:
            found = self._api.ask("GET", _path(job_id))
        except NoSuchJob:
            return JobObservation(JobStatus.GONE)
        except BackendUnreachable as error:
            return JobObservation(JobStatus.UNREACHABLE, str(error))
        return _observation(found) or JobObservation(
            JobStatus.UNREACHABLE, f"{self._address} says of {job_id}: {found.get('status')!r}"
        )

    def statuses(self, job_ids: Collection[str]) -> Mapping[str, JobObservation]:
        """See `Backend.statuses`. None, too, where nobody answers: who is asked for one job then says so."""
        if len(job_ids) < _MANY or self._clock() < self._list_again_at:
            return {}
        try:
            listed = self._api.every("/api/jobs/")
        except BackendError:
            return {}
        if len(listed) > _WORTH * len(job_ids):
            self._list_again_at = self._clock() + _LIST_AGAIN_SECONDS
        wanted = set(job_ids)
        found = {str(each.get("submission_id")): _observation(each) for each in listed}
        return {each: job for each, job in found.items() if job is not None and each in wanted}

    def stop(self, job_id: str) -> None:
        """See `Backend.stop`. Ray sends SIGTERM, and SIGKILL three seconds later."""
        try:
            self._api.ask("POST", _path(job_id, "/stop"))
        except NoSuchJob:
            return

    def logs(self, job_id: str) -> str:
        """See `Backend.logs`."""
        try:
            return str(self._api.ask("GET", _path(job_id, "/logs")).get("logs") or "")
        except NoSuchJob:
            return ""

    def machines(self) -> Machines:
        """See `Backend.machines`. The nodes are the state API's, which `ray list nodes` asks as well."""
        answer = self._api.ask("GET", "/api/v0/nodes?detail=true&limit=10000")
        try:
            found = _NodesAnswer.model_validate(answer).data.result.result
        except ValidationError as error:
            raise BackendUnreachable(
                f"Ray's state API at {self._address}: {error.errors()[0]['msg']}"
            ) from None
        nodes = [node.resources_total for node in found if node.state == "ALIVE"]
        if not nodes and self._most is None:  # for seconds after the head's start
            raise BackendUnreachable("no node of the cluster has been registered yet")
        there = Machines(*(int(sum(node.get(kind, 0) for node in nodes)) for kind in ("GPU", "CPU")))
        return larger(there, self._most)

    def ping(self) -> None:
        """See `Backend.ping`."""
        if "ray_version" not in self._api.ask("GET", "/api/version"):
            raise BackendUnreachable(f"what answers at {self._address} is not Ray's dashboard")


def _observation(job: Mapping[str, Any]) -> JobObservation | None:
    """What Ray's document of a job says; None where that is no status of one."""
    status = _STATUS.get(str(job.get("status")))
    if status is None:
        return None
    driver, code = job.get("driver_info"), job.get("driver_exit_code")
    host = driver.get("node_ip_address") if isinstance(driver, dict) else None
    return JobObservation(
        status,
        str(job.get("message") or ""),
        host=str(host) if host else None,
        exit_code=code if isinstance(code, int) else None,
    )


def _path(job_id: str, rest: str = "") -> str:
    return f"/api/jobs/{quote(job_id, safe='')}{rest}"
