"""Requests to a deployment, and what goes wrong with them in the server's own words."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

_ANSWER_SECONDS = 30.0
_LONGEST_WORDS = 500


class Failed(Exception):
    """A step did not come out as it must; the message says what was seen, and what the server said of it."""


class NobodyAnswers(Failed):
    """There is no server at the address, or it went away before it had answered."""


class Refused(Failed):
    """The server answered with an error."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What came back: `body` as it was sent."""

    status: int
    kind: str
    location: str
    body: bytes

    def document(self) -> Any:
        """Raises Failed: it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"an answer that is no JSON, but {self.kind or 'of no kind'}") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to no other address."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Server:
    """Speaks to one address, as a bearer of a token, with a name and a password, or as nobody."""

    def __init__(self, url: str, authorization: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        local = is_loopback(url)  # no proxy for the internet leads there
        handlers = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(_NoRedirects(), *handlers)

    def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", accept: str = ""
    ) -> Answer:
        """The answer, where it is no error; `body` is sent as JSON unless it is bytes of another `kind`.

        Raises:
            Refused: with the server's words.
            NobodyAnswers: with the reason.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers, "Accept": accept or "*/*", "User-Agent": "rebalance-smoke"}
        if data is not None:
            headers["Content-Type"] = kind
        asked = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._opener.open(asked, timeout=_ANSWER_SECONDS) as answer:
                told = answer.headers
                return Answer(answer.status, told.get_content_type(), told.get("Location", ""), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, _words(method, path, error)) from None
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
            why = getattr(error, "reason", error)
            raise NobodyAnswers(
                f"{method} {self.url}{path}: no answer: {why or type(error).__name__}"
            ) from None

    def get(self, path: str) -> Any:
        """The JSON document at `path`. Raises as `ask`."""
        return self.ask("GET", path, accept="application/json").document()


def _words(method: str, path: str, error: urllib.error.HTTPError) -> str:
    """The status, and what the problem document says: its detail, and each field at fault."""
    told = f"{method} {path}: HTTP {error.code} {error.reason}"
    location = error.headers.get("Location")
    if location:
        told += f", which leads to {location}"
    body = error.read(1 << 16)
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return told
    said = [str(document.get("detail") or document.get("message") or document.get("title") or "")]
    said += [
        f"{each.get('pointer')}: {each.get('got')}; allowed: {each.get('allowed')}"
        for each in document.get("errors") or ()
        if isinstance(each, dict)
    ]
    return ": ".join([told, "; ".join(each for each in said if each)[:_LONGEST_WORDS]])


def is_loopback(url: str) -> bool:
    """Whether only this machine answers there."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def basic(user: str, password: str) -> str:
    """The header Authorization of a name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
