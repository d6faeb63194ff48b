"""The words of the record of changes: what may be asked for, and of what."""

from __future__ import annotations

from typing import Literal

Action = Literal[
    "submit",
    "cancel",
    "pause",
    "resume",
    "retry",
    "track",
    "extend",
    "delete",
    "prune",  # of checkpoints
    "gc",
    "create",  # a token, which is also revoked
    "revoke",
]
Subject = Literal["experiment", "sweep", "follow-up", "token", "storage"]
