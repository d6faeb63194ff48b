"""What an experiment takes from the cluster, and how it is queued for it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from trainer.base.strict_model import StrictModel

PRIORITIES: Final = {"low": -50, "normal": 0, "high": 50}
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = r"^([0-9]{1,4}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,7}s)?$"
_LONGEST = 400 * 86_400


def _from_name(value: object) -> object:
    return PRIORITIES.get(value, value) if isinstance(value, str) else value


def _from_words(value: object) -> object:
    """Seconds of `36h`; what is no such text is left, and refused as what it is."""
    found = re.fullmatch(_DURATION, value, re.ASCII) if isinstance(value, str) and value else None
    if found is None:
        return value
    return sum(int(part[:-1]) * _UNITS[part[-1]] for part in found.groups() if part)


_Level = Annotated[int, Field(ge=-100, le=100)]
_Some = Annotated[int, Field(ge=1, le=_LONGEST)]
_Any = Annotated[int, Field(ge=0, le=_LONGEST)]
_FORM = {"x-words": "such as 90m, 36h or 1d12h"}
_Words = Annotated[str, Field(pattern=_DURATION, min_length=1, max_length=30, json_schema_extra=_FORM)]
# What may be sent, for the schema.
_LEVELS: Any = Literal["low", "normal", "high"] | _Level
_SOME: Any = _Some | _Words
_ANY: Any = _Any | _Words
Priority = Annotated[_Level, BeforeValidator(_from_name, json_schema_input_type=_LEVELS)]
# Seconds, as a number or in words: more than none, or none as well.
Seconds = Annotated[_Some, BeforeValidator(_from_words, json_schema_input_type=_SOME)]
Span = Annotated[_Any, BeforeValidator(_from_words, json_schema_input_type=_ANY)]
ProjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        json_schema_extra={"x-words": "of letters, digits, '.', '_' and '-', a letter or digit first"},
    ),
]


class Resources(StrictModel):
    """What the job's workers take from the cluster."""

    workers: int = Field(default=1, ge=1, le=1024)
    gpus_per_worker: float = Field(default=0, ge=0, le=1, multiple_of=0.125)
    cpus_per_worker: int = Field(default=1, ge=1, le=256, description="Also torch's threads in a worker.")


class Scheduling(StrictModel):
    """When it may begin, for how long, and who goes first. No spec's hash has it."""

    priority: Priority = Field(
        default=0, description="low (-50), normal (0), high (50), or a number; the higher first."
    )
    project: ProjectName | None = Field(
        default=None, description="A label that quotas and shares of the service may go by."
    )
    max_duration: Seconds | None = Field(
        default=None, description="Seconds, or text such as 36h: an attempt that lasts longer is stopped."
    )
    max_wait: Seconds | None = Field(
        default=None, description="Likewise: one that has not begun by then fails, without having run."
    )
    preemptible: bool = Field(
        default=False, description="Whether one of higher priority may stop it; it goes on from a checkpoint."
    )


def priority_name(priority: int) -> str:
    """`high` of 50; a number without a name as it is."""
    return next((name for name, value in PRIORITIES.items() if value == priority), str(priority))
