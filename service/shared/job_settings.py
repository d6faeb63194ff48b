"""Settings about jobs: how often a failed one is tried again, and how long its end is waited for."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class JobSettings(BaseSettings):
    """A part of `Settings`."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    exception_attempts: int = Field(
        default=1, ge=1, le=100, description="Of what failed by an exception; 1: it is not tried again."
    )
    report_grace_seconds: float = Field(
        default=5.0, ge=0, le=3600, description="How long a report may appear after the job's end."
    )
    stop_grace_seconds: float = Field(
        default=120.0,
        ge=1,
        le=86_400,
        description="How long a job that was told to end may take; then its experiment ends without it.",
    )
