"""Options of the commands about what goes, and about who asked for what."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import get_args

from service.cli.option_types import identifier
from service.shared.access.deeds import Action, Subject
from trainer.base.commands import positive

# As `service.shared.keeping.retention.Kind` has them, which is slow to import.
KINDS = ("checkpoints", "best", "final", "logs", "pictures", "mlflow", "orphans", "leftovers", "deleted")
# Each command: the function that does it, as `module:name` in service.cli, and what it is for.
KEEPING_COMMANDS = {
    "delete": ("keeping.commands:delete", "delete experiments, sweeps or follow-ups that have ended"),
    "gc": ("keeping.commands:gc", "take away what the policy keeps no longer; for administrators"),
    "audit": ("keeping.commands:audit", "who asked for which change, newest first; for administrators"),
}


def add_keeping_commands_options(added: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the flags of each, by the command's name."""
    text = "of an experiment, a sweep (with its trials), an evaluation, a prediction or an export"
    added["delete"].add_argument("id", metavar="ID", type=identifier, nargs="+", help=text)
    text = "also run directories, and MLflow's runs with their artifacts"
    added["delete"].add_argument("--artifacts", action="store_true", help=text)
    added["delete"].add_argument("--yes", action="store_true", help="do not ask once more")
    added["gc"].add_argument("--dry-run", action="store_true", help="only say what would go, and why")
    text = "instead of the policy's ages, such as 30d or 12h; but for --only, of no best and no final weights"
    added["gc"].add_argument("--older-than", metavar="AGE", help=text)
    text = f"this kind alone; repeat for more: {', '.join(KINDS)}"
    added["gc"].add_argument("--only", metavar="KIND", action="append", default=[], help=text)
    for name, about in (
        ("actor", "only what this token's owner asked for"),
        ("action", f"only this: {', '.join(get_args(Action))}"),
        ("kind", f"only of this kind: {', '.join(get_args(Subject))}"),
        ("subject", "only of this id"),
    ):
        added["audit"].add_argument(
            f"--{name}", action="append", default=[], metavar=name.upper(), help=f"{about}; repeat for more"
        )
    added["audit"].add_argument("--limit", type=positive, default=50, help="how many at most (50)")
