"""What stands around a body: paths, queries, headers; and pictures that are none."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

from tests.bad_pictures import chunk, header_only
from tests.hostile.request import SECRET, Hostile, spec, text


def _bomb() -> bytes:
    """A PNG of 16,000 x 16,000 pixels, which are 768 MB when they are read; here not a thousandth."""
    whole = header_only(16_000, 16_000)
    row = b"\0" + bytes(16_000 * 3)
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _ in range(2_000)) + packer.flush()
    return whole[:33] + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _labelled(body: Callable[[], bytes], told: str, **more: str) -> Hostile:
    kind = more.get("kind", "image/png")
    return Hostile(body, path="/experiments/{trained}/predictions", kind=kind, told=told)


PICTURES: dict[str, Hostile] = {
    "a bomb of pixels": _labelled(_bomb, "16000×16000"),
    "a bomb of a header": _labelled(lambda: header_only(2**31 - 1, 2**31 - 1), "2147483647"),
    "a page": _labelled(text("<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>"), "JPG or PNG"),
    "a zip": _labelled(text(b"PK\x03\x04" + bytes(100)), "JPG or PNG"),
    "a pickle": _labelled(text(b"\x80\x04cos\nsystem\n(S'id'\ntR."), "JPG or PNG"),
    "PostScript": _labelled(text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), ""),
}


def _read(path: str, status: int = 404, **more: str) -> Hostile:
    return Hostile(path=path, method="GET", status=status, kind="", told=more.get("told", ""))


PATHS: dict[str, Hostile] = {
    "upwards": _read("/experiments/../../../../etc/passwd"),
    "upwards, escaped": _read("/experiments/..%2f..%2f..%2fetc%2fpasswd"),
    "upwards, escaped twice": _read("/experiments/..%252f..%252fetc%252fpasswd"),
    "backslashes": _read("/experiments/..%5c..%5cetc%5cpasswd"),
    "NUL": _read("/experiments/a%00b"),
    "two lines": _read("/experiments/a%0d%0aSet-Cookie:%20a=b"),
    "not UTF-8": _read("/experiments/%ff%fe"),
    "10,000 letters": _read("/experiments/" + "a" * 10_000),
    "a static file upwards": _read("/static/..%2f..%2f..%2fsettings.py"),
    "a checkpoint upwards": _read("/experiments/{trained}/checkpoints/..%2f..%2f1%2fplan.json"),
    "an export's file upwards": _read("/experiments/{trained}/exports/x/files/..%2f..%2fplan.json"),
    "a recipe upwards": _read("/catalogue/recipes/..%2f..%2fetc"),
    "an unknown parameter": _read(f"/experiments?token={SECRET}", 422),
    "a cursor": _read("/experiments?cursor=%00%ff", 400),
    "a limit of 10^400": _read("/experiments?limit=1" + "0" * 400, 422),
    "an offset below 0": _read("/experiments/{trained}/logs?offset=-1", 422),
}

_RIGHT = spec(name="never stored")
HEADERS: dict[str, Hostile] = {
    "a key of two lines": Hostile(_RIGHT, status=400, headers=(b"Idempotency-Key: a\r b",)),
    "a key of 8,000 letters": Hostile(_RIGHT, status=400, headers=(b"Idempotency-Key: " + b"k" * 8_000,)),
    "a key that is not ASCII": Hostile(_RIGHT, status=400, headers=(b"Idempotency-Key: \xff\xfe",)),
    "a length twice": Hostile(_RIGHT, status=400, headers=(b"Content-Length: 0",)),
    "a length below 0": Hostile(_RIGHT, status=400, headers=(b"Content-Length: -1",)),
    "a length and pieces": Hostile(
        text(b"no length\r\n\r\n"), status=400, headers=(b"Transfer-Encoding: chunked",)
    ),
    "a packed body": Hostile(
        lambda: gzip.compress(bytes(10 << 20)), status=400, headers=(b"Content-Encoding: gzip",)
    ),
}
TOKENS: dict[str, Hostile] = {
    "none": Hostile(_RIGHT, status=401),
    "one that is none": Hostile(_RIGHT, status=401, headers=(b"Authorization: Bearer " + SECRET.encode(),)),
    "a password": Hostile(
        _RIGHT, status=401, headers=(b"Authorization: Basic " + base64.b64encode(SECRET.encode()),)
    ),
    "one of 8,000 letters": Hostile(
        _RIGHT, status=401, headers=(b"Authorization: Bearer " + SECRET.encode() * 350,)
    ),
    "one in the query": Hostile(_RIGHT, path=f"/experiments?token={SECRET}", status=401),
    "a malformed body first": Hostile(text("[" * 100_000), status=401),
}
