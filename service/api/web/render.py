"""From a template to an answer: escaped, with the headers that keep a page to itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache, lru_cache, partial
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from service.api.entry.owners import may_change_this
from service.api.entry.sessions import FORM_HEADER, form_token, keep_visit
from service.api.web.here import caller_of, may_change
from service.api.web.words import FILTERS

_STATIC = re.compile(r"[a-z]+(\.[a-z]+)+", re.ASCII)
_ROOM = "service.api.web"
LIVE_SECONDS = 2  # between two looks at what changes
# Nothing is loaded from elsewhere, nothing runs that is not a file of ours, nobody frames the page.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Our own pages learn where a form came from, and nobody else learns an address.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(request: Request, template: str, status: int = HTTPStatus.OK, /, **context: Any) -> HTMLResponse:
    """The whole page."""
    answer = HTMLResponse(_render(request, template, context), int(status), HEADERS)
    keep_visit(request, answer)
    return answer


def live_part(request: Request, template: str, path: str, /, *, on: bool, **context: Any) -> Markup:
    """The part of a page that asks for itself again while it is `on`, at `path`; see `live_answer`.

    Context `state`, where there is one, is what a screen reader is told when it has changed; `stream`, the
    path of server-sent events, at each of which it asks at once.
    """
    return _wrapped(request, _part(request, template, context), path, on=on, context=context)


def live_answer(
    request: Request, template: str, path: str, /, *, on: bool, changed: str | None = None, **context: Any
) -> Response:
    """The part anew; 204 while it is as the page has it, so that no focus and no reader is disturbed.

    Args:
        changed: a template of what else is put in its place, where the state is no longer the page's.
    """
    part, asked = _part(request, template, context), request.query_params
    if asked.get("seen") == _digest(part):
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=HEADERS)
    answer = _wrapped(request, part, path, on=on, context=context)
    if changed is not None and asked.get("state") != str(context.get("state", "")):
        answer += _part(request, changed, context)
    return HTMLResponse(answer, headers=HEADERS)


def go_to(request: Request, path: str) -> Response:
    """To another page, after something was changed; from a form that htmx has sent in its own way."""
    place = f"{base(request)}{path}"
    if request.headers.get("hx-request") == "true":
        return Response(headers={**HEADERS, "HX-Redirect": place})
    return RedirectResponse(place, HTTPStatus.SEE_OTHER, HEADERS)


def base(request: Request) -> str:
    """What stands before every path of a link: the path of a reverse proxy, if there is one."""
    return str(request.scope.get("root_path", ""))


@lru_cache(maxsize=32)
def static_file(name: str) -> bytes | None:
    """A file that pages load, None where there is none of this name."""
    file = _folder("static").joinpath(name)
    return file.read_bytes() if _STATIC.fullmatch(name) and file.is_file() else None


@cache
def static_tag(name: str) -> str:
    """The beginning of its digest: stands in its address, so that a browser keeps it until it changes."""
    content = static_file(name)
    assert content is not None, name
    return hashlib.sha256(content).hexdigest()[:12]


def _part(request: Request, template: str, context: dict[str, Any]) -> Markup:
    return Markup(_render(request, template, context))  # escaped by its template


def _wrapped(request: Request, part: Markup, path: str, *, on: bool, context: Mapping[str, Any]) -> Markup:
    here, stream = base(request), context.get("stream")
    query = urlencode({"seen": _digest(part), "state": str(context.get("state", ""))})
    around = {
        "inner": part,
        "on": on,
        "ask": f"{here}{path}?{query}",
        "events": f"{here}{stream}" if stream else None,
        "seconds": LIVE_SECONDS,
    }
    return _part(request, "live.html", around)


def _digest(part: str) -> str:
    return hashlib.sha256(part.encode()).hexdigest()[:16]


def _render(request: Request, template: str, context: dict[str, Any]) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            base=base(request),
            version=request.app.version,
            caller=caller_of(request),
            closed=request.app.state.settings.closed,
            may_change=may_change(request),
            may=partial(may_change_this, request),
            form_token=form_token(request),
            form_header=FORM_HEADER,
            **context,
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(lambda name: _folder("templates").joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    made.globals |= {"static_tag": static_tag}
    return made


def _folder(name: str) -> Traversable:
    return resources.files(_ROOM).joinpath(name)
