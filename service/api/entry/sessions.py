"""What a browser shows instead of a header: the cookie of a log-in, and the proof that a form is ours.

Two cookies, both out of scripts' reach and never sent with what another site begins: `TOKEN_COOKIE` holds the
token that somebody has logged in with, `VISIT_COOKIE` random letters, also where no token is needed. The
proof is an HMAC of both, so it ends with the session, and no other page can work it out. Nothing is kept
here, so that any of several services takes a form that another has shown.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from urllib.parse import urlsplit

from fastapi import Request, Response

from service.api.prefix import path_below
from service.api.requests import ForeignForm

HOME = "/"
LOGIN = "/ui/login"
LOGOUT = "/ui/logout"
STATIC = "/ui/static/"
TOKEN_COOKIE = "rebalance_token"
VISIT_COOKIE = "rebalance_visit"
FORM_TOKEN = "form_token"
FORM_HEADER = "X-Form-Token"
_VISIT = re.compile(r"[A-Za-z0-9_-]{43}")


def is_page(request: Request) -> bool:
    """Whether it is for people's pages, not for the API."""
    path = path_below(request.scope)
    return path in ("", HOME, "/ui") or path.startswith("/ui/")


def visit_of(request: Request) -> str:
    """The visit's random letters: those that the browser shows, else new ones, the same for this request."""
    shown = request.cookies.get(VISIT_COOKIE, "")
    if _VISIT.fullmatch(shown):
        return shown
    if not hasattr(request.state, "visit"):
        request.state.visit = secrets.token_urlsafe(32)
    return str(request.state.visit)


def form_token(request: Request) -> str:
    """What a form on the page that this request is answered with has to bring back, 64 hexadecimal digits."""
    session = request.cookies.get(TOKEN_COOKIE, "")
    return hmac.new(visit_of(request).encode(), f"form {session}".encode(), hashlib.sha256).hexdigest()


def refuse_foreign(request: Request, proof: str) -> None:
    """Returns where the form is one of our pages', shown to this visitor in this session.

    Raises:
        ForeignForm: it is not; with what to do.
    """
    if not _is_same_origin(request):
        raise ForeignForm("this form was sent by another web page, or by none; send it from the page itself")
    if not hmac.compare_digest(proof.encode(), form_token(request).encode()):
        raise ForeignForm("this form is of another session; load the page again, and send it from there")


def keep_visit(request: Request, answer: Response) -> None:
    """Gives the browser its visit's letters, if it has none."""
    if request.cookies.get(VISIT_COOKIE) != visit_of(request):
        set_cookie(request, answer, VISIT_COOKIE, visit_of(request))


def set_cookie(request: Request, answer: Response, name: str, value: str) -> None:
    """A cookie that ends with the browser, no script reads and no other site sends; an empty one goes."""
    path = request.scope.get("root_path", "") or "/"
    secure = _is_https(request)
    if value:
        answer.set_cookie(name, value, path=path, secure=secure, httponly=True, samesite="strict")
    else:
        answer.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="strict")


def _is_same_origin(request: Request) -> bool:
    """By what the browser itself says of where a form was sent from; no page can change these headers.

    Of plain http, but for this machine, browsers send no Sec-Fetch-Site; then the origin is compared.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    own = {request.headers.get("host", ""), request.headers.get("x-forwarded-host", "")} - {""}
    return origin.netloc in own


def _is_https(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())
