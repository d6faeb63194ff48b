"""Log in with a token, and out again; only where tokens are asked for."""

from __future__ import annotations

import logging
import re

from fastapi import APIRouter, Request, Response

from service.api.dependencies import StoreDep
from service.api.entry.guard import caller_of
from service.api.entry.sessions import HOME, LOGIN, LOGOUT, TOKEN_COOKIE, set_cookie
from service.api.requests import InvalidToken, TooOften
from service.api.web.errors import login_page
from service.api.web.forms import FormDep
from service.api.web.limits import WrongTokens
from service.api.web.render import go_to
from service.reconcile.reconciler import utc_now

router = APIRouter()

# A page of ours and nothing else: neither another host's nor one of the API's.
_OWN_PAGE = re.compile(r"/(ui(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?(\?[\x21-\x5b\x5d-\x7e]*)?", re.ASCII)

log = logging.getLogger(__name__)


@router.get(LOGIN)
def form(request: Request) -> Response:
    """The form."""
    return login_page(request, HOME)


@router.post(LOGIN)
def login(request: Request, sent: FormDep, store: StoreDep) -> Response:
    """Keeps the token in a cookie, if it counts, and goes where the browser wanted to."""
    wrong: WrongTokens = request.app.state.wrong_tokens
    address = request.client.host if request.client is not None else ""
    way_back = sent.get("way_back", "")
    way_back = way_back if _OWN_PAGE.fullmatch(way_back) else HOME
    if seconds := wrong.wait_seconds(address):
        raise TooOften("wrong tokens", seconds)
    secret = sent.get("token", "").strip()
    try:
        caller = caller_of(secret, store, utc_now())
    except InvalidToken as error:
        wrong.add(address)
        log.warning("log-in refused", extra={"address": address, "reason": str(error)})
        return login_page(request, way_back, error)
    log.info("logged in", extra={"actor": str(caller), "address": address})
    answer = go_to(request, way_back)
    set_cookie(request, answer, TOKEN_COOKIE, secret)
    return answer


@router.post(LOGOUT)
def logout(request: Request, sent: FormDep) -> Response:
    """Takes the cookie away; the token itself goes on to count until it is revoked."""
    del sent
    answer = go_to(request, HOME)
    set_cookie(request, answer, TOKEN_COOKIE, "")
    return answer
