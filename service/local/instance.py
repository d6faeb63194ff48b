"""`rebalance serve`: Ray, MLflow and the API in one data directory, started together and stopped together."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from service.local.api_server import ApiServer, log_to
from service.local.data_dir import DataDir, bind, url_of, write_endpoints
from service.local.first_token import need_a_token
from service.local.servers import (
    MLFLOW,
    RAY,
    mlflow_program,
    ray_client_environment,
    ray_program,
    remove_leftovers,
    write_ray_token,
)
from service.local.supervisor import Builder, Notices, Supervisor
from service.scheduling.policy import PolicyFile
from service.shared.endpoints import Endpoints
from service.shared.network.proxies import way_to
from service.shared.tokens import new_secret
from trainer.base.files import write_atomically
from trainer.base.own_machine import without_proxy

if TYPE_CHECKING:
    import socket

    from service.shared.settings import Settings

_READY_SECONDS = 60.0
_CHECK_SECONDS = 0.5


class Embedded:
    """One running instance. Enter it to start, `watch` to stay, leave it to stop everything it started."""

    def __init__(self, settings: Settings, notices: Notices, stop: threading.Event) -> None:
        """`stop` may be set by a signal at any time: starting and watching end soon after."""
        self._settings = settings
        self._notices = notices
        self._stop = stop
        self._stack = contextlib.ExitStack()
        self.directory = DataDir(settings.data_dir)
        self.endpoints = Endpoints("", "", "")

    def __enter__(self) -> Embedded:
        """Starts everything and waits until all of it is healthy.

        Raises:
            DataDirInUse, DataDirUnusable, PortInUse, ProxyRefused, PolicyError, NobodyMayComeIn,
            ProgramFailed, ApiFailed: with a clear message; nothing is left running.
            StopAsked: `stop` was set before all was ready.
        """
        with contextlib.ExitStack() as stack:
            self._begin(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def watch(self) -> None:
        """Stays until `stop` is set; servers that die are started again.

        Raises:
            ProgramFailed: one keeps dying.
            ApiFailed: the API ended by itself.
        """
        while not self._stop.wait(_CHECK_SECONDS):
            self.check()

    def check(self) -> None:
        """One look at everything, as `watch` does."""
        self._supervisor.check()
        self._api.check()

    @property
    def ray_environment(self) -> str:
        """The line for a shell that makes `ray job submit` speak to this instance."""
        variables: dict[str, str | None] = {"RAY_API_SERVER_ADDRESS": self.endpoints.ray}
        if self._settings.ray_address is None:
            variables |= ray_client_environment(self.directory)
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items() if value)
        return f"export {given}"

    def _begin(self, stack: contextlib.ExitStack) -> None:
        """The order matters: what is entered last is left first."""
        for url in (self._settings.ray_address, self._settings.mlflow_server):
            if url is not None:
                way_to(url, os.environ)  # refuses a proxy that nobody can use before anything is started
        PolicyFile(self._settings.policy)  # likewise a file of rules that is none
        stack.enter_context(self.directory.locked())
        self._remove_addresses()
        bound = stack.enter_context(contextlib.closing(bind(self._settings.host, self._settings.port)))
        log_file = None if self._settings.log_to_stderr else self.directory.logs / "service.log"
        stack.enter_context(contextlib.closing(log_to(log_file, self._settings.log_format)))
        need_a_token(self._settings)
        stack.enter_context(_environment(self._own_environment(bound)))
        builders = self._builders()
        self._supervisor = Supervisor(self.directory, builders, self._notices, clean=remove_leftovers)
        stack.callback(self._notices.waiting, ())
        stack.callback(self._supervisor.stop)
        self._supervisor.launch()
        self._notices.waiting(tuple(builders) or ("the API",))
        self._start_api(stack, bound)
        write_endpoints(self.directory, self.endpoints)
        stack.callback(self._remove_addresses)
        write_atomically(self.directory.ray_environment, self.ray_environment + "\n")
        self._notices.waiting(())

    def _builders(self) -> dict[str, Builder]:
        """The servers that no setting names from outside."""
        builders: dict[str, Builder] = {}
        if self._settings.ray_address is None:
            write_ray_token(self.directory)
            builders[RAY] = lambda details: ray_program(self.directory, details)
        if self._settings.mlflow_uri is None:
            builders[MLFLOW] = lambda details: mlflow_program(self.directory, details)
        return builders

    def _start_api(self, stack: contextlib.ExitStack, bound: socket.socket) -> None:
        """Loads the application and migrates the database while Ray and MLflow start, then waits for all."""
        from service.api.app import create_app
        from service.migrations import migrate

        began = time.monotonic()
        migrate(self._settings)
        self._notices.line(f"database: ready after {time.monotonic() - began:.1f} s")
        self._supervisor.wait(self._stop)
        ray = self._settings.ray_address or str(self._supervisor.details(RAY)["url"])
        mlflow = self._settings.mlflow_uri or str(self._supervisor.details(MLFLOW)["url"])
        self.endpoints = Endpoints(api=url_of(bound), mlflow=mlflow, ray=ray)
        changed = {"ray_address": ray, "mlflow_uri": mlflow, "port": bound.getsockname()[1]}
        if self._settings.ray_address is None:
            changed["job_python"] = sys.executable
        self._notices.waiting(("API",))
        began = time.monotonic()
        settings = self._settings.model_copy(update=changed)
        probe = new_secret()
        app = create_app(settings, probe=probe)
        self._api = ApiServer(app, bound, self.directory.logs / "service.log", probe=probe)
        stack.callback(self._api.stop)
        self._api.start()
        own = ("backend", "reconciler") if self._settings.ray_address is None else ()
        degraded = self._api.wait(self._stop, _READY_SECONDS, needed=own)
        self._notices.line(f"API: ready after {time.monotonic() - began:.1f} s")
        for name, why in degraded.items():
            self._notices.line(f"{name}: {why}; experiments are taken, and wait for it")

    def _own_environment(self, bound: socket.socket) -> dict[str, str | None]:
        """What libraries in this process and in our children read from the environment."""
        changed: dict[str, str | None] = {}
        if self._settings.ray_address is None:
            changed |= ray_client_environment(self.directory)
        # No proxy for the internet leads to ourselves, nor should Ray's and MLflow's own processes take one.
        parts = (self._settings.ray_address, self._settings.mlflow_server, url_of(bound))
        return changed | without_proxy(os.environ, parts)

    def _remove_addresses(self) -> None:
        self.directory.endpoints.unlink(missing_ok=True)
        self.directory.ray_environment.unlink(missing_ok=True)


@contextlib.contextmanager
def _environment(changed: Mapping[str, str | None]) -> Iterator[None]:
    """Changes variables of this process for a while; None takes one away."""
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
