"""`rebalance serve` and `migrate` at the door: settings from flags, signals, what is printed, exit codes."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from service.cli.failure import fail
from service.cli.progress import StartNotices, make_console
from service.local.collector import spare_collections
from service.local.data_dir import DataDirInUse, DataDirUnusable, PortInUse
from service.local.first_token import NobodyMayComeIn
from service.local.instance import Embedded
from service.local.supervisor import StopAsked
from service.shared.network.proxies import ProxyRefused
from service.shared.settings import Settings, SettingsError, load_settings, refuse_password
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FLAGS = (
    "data_dir",
    "host",
    "port",
    "root_path",
    "data_roots",
    "ray_address",
    "mlflow_uri",
    "database_url",
    "max_running",
    "require_token",
    "allowed_hosts",
    "cors_origins",
    "storage",
)

log = logging.getLogger(__name__)


def serve_command(args: argparse.Namespace) -> int:
    """Serves until a signal; 0 then, else 2 for bad input and 1 for what failed."""
    console = make_console(stderr=args.json)

    def work(settings: Settings, stop: threading.Event) -> int:
        with Embedded(settings, StartNotices(console), stop) as running:
            spare_collections()
            _announce(console, running, as_json=args.json)
            running.watch()
            console.print("stopping …")
        return 0

    return run_instance(args, console, work)


def migrate_command(args: argparse.Namespace) -> int:
    """0 once the schema is this version's, 2 for bad input, 1 where the database refuses or is silent."""
    console = make_console(stderr=True)

    def work(settings: Settings, stop: threading.Event) -> int:
        from service.migrations.waiting import migrate_within

        def say(text: str) -> None:
            console.print(f"database: {text}", markup=False, soft_wrap=True)

        applied = migrate_within(settings, args.wait, say=say, stop=stop)
        if args.json:
            print(json.dumps({"applied": applied}))
        else:
            print(f"database: {'applied ' + ', '.join(applied) if applied else 'nothing to do'}")
        return 0

    return run_instance(args, console, work)


def run_instance(
    args: argparse.Namespace,
    console: Console,
    work: Callable[[Settings, threading.Event], int],
    *,
    stopped: tuple[str, int] = ("stopped", 0),
    **given: Any,
) -> int:
    """Exit code of `work`; each error it may end with is one clear message.

    `stopped`: what to say and return where a signal ended it early. `given`: settings that no flag names.
    """
    try:
        refuse_password(getattr(args, "database_url", None))
        settings = load_settings(**{name: getattr(args, name, None) for name in _FLAGS} | given)
        with stop_on_signals() as stop:
            return work(settings, stop)
    except StopAsked:
        text, code = stopped
        console.print(text, markup=False, soft_wrap=True)
        return code
    except (SettingsError, DataDirInUse, DataDirUnusable, PortInUse, ProxyRefused, NobodyMayComeIn) as error:
        return fail(str(error), ExitCode.BAD_INPUT)
    except RegionRebalanceError as error:
        return fail(str(error), ExitCode.FAILED)
    except Exception as error:  # the process's outermost frame
        log.exception("unexpected end")
        return fail(f"{type(error).__name__}: {error}", ExitCode.FAILED)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and the terminal's end set; more of them change nothing."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(console: Console, running: Embedded, *, as_json: bool) -> None:
    endpoints = running.endpoints
    if as_json:
        print(json.dumps(endpoints.to_json()), flush=True)
    lines = (
        "",
        f"API      {endpoints.api}   docs: {endpoints.api}/docs",
        f'MLflow   {endpoints.mlflow}   runs: choose "Model training" at its top left',
        f"Ray      {endpoints.ray}",
        f"data     {running.directory.path}   addresses: endpoints.json, logs: logs/",
        "",
        "for `ray job submit`, in another shell:",
        f"  {running.ray_environment}",
        "",
        "Ctrl-C stops all of it.",
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    sys.stdout.flush()
