"""One file by HTTP: taken up where it broke off, its way told, nothing believed before it is whole."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from trainer.base.errors import DiskFull, RegionRebalanceError
from trainer.base.text import printable
from trainer.storage.weights import Partial, PartOrigin

Advance = Callable[[int, int | None], None]  # bytes that are here, and of how many, where that is known

_CHUNK = 1 << 18
_LARGEST = 16 << 30  # bytes: an endless answer must not fill the disk
_TRIES = 3  # without a new byte
_MOST_TRIES = 30
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (?P<first>\d+)-\d+/(?P<total>\d+|\*)")
_NO_RANGE = re.compile(r"bytes \*/(?P<total>\d+)")


class DownloadFailed(RegionRebalanceError):
    """This address does not give the file; the message says why."""


class _BrokeOff(Exception):
    """Worth another try."""


@dataclass(frozen=True)
class Patience:
    """How long a silent server is waited for, in seconds, and how waiting is done."""

    silence: float
    wait: Callable[[float], object]


def download(url: str, part: Partial, patience: Patience, advance: Advance, *, pinned: bool) -> None:
    """Receives into `part` until it is whole; proxies are those of the environment.

    Args:
        pinned: the bytes are judged by their hash, so whatever has arrived may be gone on with; otherwise
            only what this server says is a part of the same file.

    Raises:
        DownloadFailed: after a few tries, or at once where another would end the same.
        DiskFull: there is no room.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadFailed("is no http or https address")
    in_vain, furthest = 0, part.size
    for _ in range(_MOST_TRIES):
        try:
            _receive(url, part, patience.silence, advance, pinned=pinned)
            return
        except _BrokeOff as error:
            why = str(error)
        except HTTPError as error:
            why = f"answered {error.code} {printable(str(error.reason))}"
            error.close()
            if error.code not in _WORTH_ANOTHER_TRY:
                raise DownloadFailed(why) from None
        except DiskFull:
            raise
        except (HTTPException, OSError, ValueError) as error:
            why = _told(error, patience.silence)
        in_vain, furthest = (0, part.size) if part.size > furthest else (in_vain + 1, furthest)
        if in_vain >= _TRIES:
            break
        patience.wait(2.0**in_vain)
    raise DownloadFailed(why)


def _receive(url: str, part: Partial, silence: float, advance: Advance, *, pinned: bool) -> None:
    """One request: from where `part` ends, if the server can."""
    origin = part.origin
    same = origin is not None and origin.url == url and origin.validator is not None
    if not pinned and not same:
        part.restart()
    request = urllib.request.Request(url, headers={"User-Agent": "region-rebalance"})
    if part.size:
        request.add_header("Range", f"bytes={part.size}-")
        if origin is not None and same:
            request.add_header("If-Range", str(origin.validator))
    try:
        answer = _opener().open(request, timeout=silence)
    except HTTPError as error:
        if error.code != 416:
            raise
        _past_the_end(error, part)
        return
    with answer:
        total = _begin(url, answer, part)
        while part.size != total and (chunk := answer.read1(_CHUNK)):
            part.append(chunk)
            advance(part.size, total)
            if part.size > (total or _LARGEST):
                part.restart()
                raise DownloadFailed(f"sends more than the {total or _LARGEST} bytes that were to come")
    if total is not None and part.size < total:
        raise _BrokeOff(f"broke off after {part.size} of {total} bytes")


def _begin(url: str, answer: Any, part: Partial) -> int | None:
    """Bytes of the whole file, None where the server does not say; `part` ends where the answer begins."""
    headers: HTTPMessage = answer.headers
    if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise DownloadFailed("answered with a web page instead of the file")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadFailed(f"answered in the encoding {printable(headers['Content-Encoding'])}")
    if answer.status == 206:
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None or int(match["first"]) != part.size:
            part.restart()
            raise _BrokeOff("answered with another part of the file than asked for")
        total = None if match["total"] == "*" else int(match["total"])
    else:
        part.restart()
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if total is not None and total > _LARGEST:
        raise DownloadFailed(f"wants to send {total} bytes; allowed: {_LARGEST}")
    etag = headers.get("ETag")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    part.come_from(PartOrigin(url=url, validator=validator))
    return total


def _past_the_end(error: HTTPError, part: Partial) -> None:
    """Nothing comes after what we have: that is all of it, or of another file."""
    match = _NO_RANGE.fullmatch(error.headers.get("Content-Range", ""))
    error.close()
    if match is None or int(match["total"]) != part.size:
        part.restart()
        raise _BrokeOff("has a shorter file than what has arrived")


def _told(error: Exception, silence: float) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"sent nothing for {silence:g} s"
    if isinstance(cause, OSError) and cause.strerror:
        return printable(cause.strerror)
    return printable(str(cause)) or type(cause).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        to = urlsplit(newurl).scheme
        if to not in ("http", "https") or (req.type == "https" and to == "http"):
            fp.close()
            raise DownloadFailed(f"leads from {req.type} to {printable(to)}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Redirects)
