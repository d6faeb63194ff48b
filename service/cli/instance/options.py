"""The commands that work on this machine: they start an instance, or see to its database."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from trainer.base.commands import positive


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `rebalance serve`; what is left out comes from REBALANCE_… variables."""
    _instance(parser, "everything is kept here (~/.rebalance)")
    parser.add_argument("--host", help="where the API listens (127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="of the API (8000); 0 for any free one")
    parser.add_argument("--root-path", metavar="PATH", help="of a reverse proxy that leads here: /rebalance")
    text = "ask for tokens also where only this machine can ask"
    parser.add_argument("--require-token", action="store_true", default=None, help=text)
    text = "a name that it answers to beside this machine's own; repeat for more"
    parser.add_argument("--allowed-host", metavar="NAME", action="append", dest="allowed_hosts", help=text)
    text = "web pages from there may ask the API; repeat for more"
    parser.add_argument("--cors-origin", metavar="ORIGIN", action="append", dest="cors_origins", help=text)
    parser.add_argument("--ray-address", metavar="URL", help="Jobs API of a Ray that is already running")
    parser.add_argument("--mlflow-uri", metavar="URI", help="an MLflow server that is already running")
    _database(parser)


def add_migrate_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `rebalance migrate`."""
    parser.add_argument("--data-dir", metavar="DIR", help="of `rebalance serve` (~/.rebalance)")
    _database(parser)
    text = "how long the database may take to answer (0)"
    parser.add_argument("--wait", type=positive, default=0, metavar="SECONDS", help=text)
    parser.add_argument("--json", action="store_true", help="machine-readable output on stdout")


def add_keeping_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `rebalance backup` and `rebalance restore`."""
    parser.add_argument("file", metavar="FILE", help="the backup, such as rebalance-2026-01-31.gz")
    parser.add_argument("--data-dir", metavar="DIR", help="of `rebalance serve` (~/.rebalance)")
    _database(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable output on stdout")


def add_adopt_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `rebalance adopt`."""
    parser.add_argument("--data-dir", metavar="DIR", help="of `rebalance serve` (~/.rebalance)")
    parser.add_argument("--storage", metavar="DIR", help="where runs/ and sweeps/ lie (DATA_DIR/storage)")
    _database(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable output on stdout")


def _database(parser: argparse.ArgumentParser) -> None:
    text = "instead of SQLite in the data directory; no password here"
    parser.add_argument("--database-url", metavar="URL", help=text)


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `rebalance demo`."""
    _instance(parser, "everything is kept here (.rebalance)")
    parser.add_argument("--iterations", type=positive, metavar="N", help="fewer, to try it out")


def _instance(parser: argparse.ArgumentParser, data_dir: str) -> None:
    parser.add_argument("--data-dir", metavar="DIR", help=data_dir)
    text = "a directory that data sets may lie in, for `data:NAME` in specs with a name; repeat for more"
    parser.add_argument("--data-root", metavar="[NAME=]DIR", action="append", dest="data_roots", help=text)
    parser.add_argument("--max-running", type=positive, metavar="N", help="experiments at a time (2)")
    parser.add_argument("--json", action="store_true", help="machine-readable output on stdout")


Options = Callable[[argparse.ArgumentParser], None]
# Those that work here, not over the API: the function, as `module:name` in this folder, why, and its flags.
INSTANCE_COMMANDS: dict[str, tuple[str, str, Options]] = {
    "serve": (
        "instance.serve:serve_command",
        "start Ray, MLflow and the API, until Ctrl-C",
        add_serve_options,
    ),
    "migrate": (
        "instance.serve:migrate_command",
        "bring the database to this version's schema",
        add_migrate_options,
    ),
    "backup": ("instance.keeping:backup", "the database as one file", add_keeping_options),
    "restore": ("instance.keeping:restore", "a backup into an empty database", add_keeping_options),
    "adopt": (
        "instance.keeping:adopt",
        "rows for what lies in the storage and the database does not know",
        add_adopt_options,
    ),
    "demo": (
        "instance.demo:demo_command",
        "three experiments on the built-in data, and their comparison",
        add_demo_options,
    ),
}
