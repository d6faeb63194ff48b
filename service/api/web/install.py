"""The pages, added to the application."""

from __future__ import annotations

from fastapi import FastAPI

from service.api.web import errors
from service.api.web.limits import WrongTokens
from service.api.web.pages import (
    assets,
    audit,
    changes,
    comparing,
    experiment,
    extending,
    followup,
    login,
    overview,
    queue,
    submit,
    submit_sweep,
    sweep,
)
from service.shared.settings import Settings


def install(app: FastAPI, settings: Settings) -> None:
    """Adds every page; from now on what goes wrong below them is a page as well."""
    for part in (
        overview,
        submit,
        submit_sweep,
        experiment,
        sweep,
        followup,
        comparing,
        changes,
        extending,
        queue,
        audit,
        assets,
    ):
        app.include_router(part.router, include_in_schema=False)
    if settings.closed:
        app.state.wrong_tokens = WrongTokens()
        app.include_router(login.router, include_in_schema=False)
    errors.install(app)
