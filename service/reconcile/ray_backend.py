"""The port on Ray's Jobs API. The service imports Ray here and in `ray_compat`, and only when first used."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from service.reconcile.cluster import (
    AlreadySubmitted,
    BackendError,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    SubmitRefused,
)
from service.reconcile.ray_compat import patient_client
from service.shared.proxies import way_to
from trainer.spec.recipes import Machines

_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 30.0
_STATUS = {
    "PENDING": JobStatus.PENDING,
    "RUNNING": JobStatus.RUNNING,
    "SUCCEEDED": JobStatus.SUCCEEDED,
    "FAILED": JobStatus.FAILED,
    "STOPPED": JobStatus.STOPPED,
}


class _NoSuchJob(BackendError):
    """The Jobs API knows no job of this id."""


class _CallRefused(BackendUnreachable):
    """The Jobs API will not do this. Only a submit is hopeless then; for the rest nothing is known."""


class RayBackend:
    """Runs command lines as jobs of the cluster whose Jobs API is at `address`."""

    def __init__(self, address: str, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        """Raises ProxyRefused where the environment names a proxy for `address` that cannot be used."""
        self._address = address
        self._answer_seconds = answer_seconds
        self._way = way_to(address, os.environ)
        self._lock = threading.Lock()
        self._cached: Any = None

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        """See `Backend.submit`. Without resources named, Ray starts the driver on the head and takes none."""
        try:
            with self._answers() as client:
                client.submit_job(
                    entrypoint=shlex.join(command),
                    submission_id=job_id,
                    metadata=dict(metadata),
                    entrypoint_num_cpus=0,
                    entrypoint_num_gpus=0,
                )
        except _CallRefused as error:
            raise SubmitRefused(str(error)) from error

    def status(self, job_id: str) -> JobObservation:
        """See `Backend.status`. A head that was started again knows no earlier job: GONE."""
        try:
            with self._answers() as client:
                found = client.get_job_info(job_id)
        except _NoSuchJob:
            return JobObservation(JobStatus.GONE)
        except BackendUnreachable as error:
            return JobObservation(JobStatus.UNREACHABLE, str(error))
        return JobObservation(_STATUS[str(found.status.value)], found.message or "")

    def stop(self, job_id: str) -> None:
        """See `Backend.stop`. Ray sends SIGTERM, and SIGKILL three seconds later."""
        try:
            with self._answers() as client:
                client.stop_job(job_id)
        except _NoSuchJob:
            return

    def logs(self, job_id: str) -> str:
        """See `Backend.logs`."""
        try:
            with self._answers() as client:
                return str(client.get_job_logs(job_id))
        except _NoSuchJob:
            return ""

    def machines(self) -> Machines:
        """See `Backend.machines`."""
        with self._answers() as client:
            nodes: list[dict[str, float]] = client.node_resources()
        if not nodes:  # for seconds after the head's start
            raise BackendUnreachable("no node of the cluster has been registered yet")
        return Machines(*(int(sum(node.get(kind, 0) for node in nodes)) for kind in ("GPU", "CPU")))

    def ping(self) -> None:
        """See `Backend.ping`."""
        with self._answers() as client:
            client.get_version()

    @contextmanager
    def _answers(self) -> Iterator[Any]:
        """The client, with everything that Ray and requests raise turned into the port's errors."""
        import requests
        from ray.exceptions import RayError

        try:
            yield self._client()
        except (ConnectionError, requests.RequestException) as error:
            where = f"Ray's Jobs API at {self._address}{self._way.words}"
            raise BackendUnreachable(f"{where} does not answer: {error}") from error
        except RuntimeError as error:
            raise self._meaning(str(error)) from error
        except (RayError, KeyError, TypeError, ValueError) as error:
            # A token that is wrong or missing, or an answer that is not of the Jobs API.
            raise BackendUnreachable(f"Ray's Jobs API at {self._address}: {error}") from error

    def _meaning(self, message: str) -> BackendError:
        """Ray's client raises RuntimeError for all of these; only their words differ."""
        if "status code 404" in message and "does not exist" in message:
            return _NoSuchJob(message)
        if "already exists" in message:
            return AlreadySubmitted(message)
        if "status code 400" in message:
            return _CallRefused(message)
        return BackendUnreachable(f"Ray's Jobs API at {self._address}: {message}")

    def _client(self) -> Any:
        with self._lock:
            if self._cached is None:
                self._cached = patient_client(
                    self._address,
                    connect_seconds=_CONNECT_SECONDS,
                    answer_seconds=self._answer_seconds,
                    proxies=self._way.for_requests,
                )
            return self._cached
