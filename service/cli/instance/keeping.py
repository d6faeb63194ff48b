"""`rebalance backup`, `restore`, `adopt`: the database as one file, back, and from what lies in storage."""

from __future__ import annotations

import argparse
import json
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failure import fail
from service.cli.instance.serve import run_instance
from service.cli.progress import make_console
from trainer.base.ends import ExitCode
from trainer.base.text import printable

if TYPE_CHECKING:
    from service.shared.settings import Settings


def backup(args: argparse.Namespace) -> int:
    """0 once the file is there, whole."""

    def work(settings: Settings, _stop: threading.Event) -> int:
        from service.migrations.backup import BackupRefused
        from service.migrations.backup import backup as write
        from service.reconcile.reconciler import utc_now

        try:
            rows = write(settings, Path(args.file), utc_now())
        except BackupRefused as error:
            return fail(str(error), ExitCode.BAD_INPUT)
        told = f"{args.file}: {rows:,} rows; the run directories in {settings.layout.root} are plain files"
        print(json.dumps({"file": args.file, "rows": rows}) if args.json else told)
        return 0

    return run_instance(args, make_console(stderr=True), work)


def restore(args: argparse.Namespace) -> int:
    """0 once the database has everything."""

    def work(settings: Settings, _stop: threading.Event) -> int:
        from service.migrations.backup import BackupRefused
        from service.migrations.backup import restore as fill

        try:
            counts = fill(settings, Path(args.file))
        except BackupRefused as error:
            return fail(str(error), ExitCode.BAD_INPUT)
        told = ", ".join(f"{number:,} {table}" for table, number in counts.items()) or "no rows"
        print(json.dumps({"restored": counts}) if args.json else f"database: restored {told}")
        return 0

    return run_instance(args, make_console(stderr=True), work)


def adopt(args: argparse.Namespace) -> int:
    """0 once all that can be has a row; 1 where something was left, which is told with the reason."""

    def work(settings: Settings, _stop: threading.Event) -> int:
        from service.adoption.adopt import adopt as take
        from service.store.experiments import Store

        with closing(Store(settings.database)) as store:
            store.ping()
            found = take(store, settings.layout)
        if args.json:
            print(json.dumps(asdict(found)))
        else:
            taken = f"{len(found.experiments):,} experiments and {len(found.sweeps):,} sweeps"
            print(f"adopted {taken}; {found.known:,} were known")
            if found.followed:
                print(f"followed, for nothing says that they ended: {', '.join(found.followed)}")
            for name, why in found.left.items():
                print(f"{name}: left alone: {printable(why)}")
        return ExitCode.FAILED if found.left else ExitCode.DONE

    return run_instance(args, make_console(stderr=True), work)
