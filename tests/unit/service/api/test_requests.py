"""Which bytes are taken for a JSON document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.requests import document_hash
from trainer.base.documents import MAX_DEPTH, MalformedDocument, parse_document

CASES = {
    b"": "empty",
    b"  \n": "empty",
    b"{": "line 1, column 2",
    b'{"a": 1}}': "line 1, column 9",
    b"{'a': 1}": "line 1, column 2",
    b'{"a": 1,\n "b": }': "line 2, column 7",
    b"\xff\xfe": "not UTF-8: byte 0",
    b'{"a": "\xe9"}': "not UTF-8: byte 7",
    b'{"lambda": NaN}': "NaN",
    b'{"lambda": -Infinity}': "Infinity",
    b'{"seed": 1, "seed": 2}': '"seed" is given twice',
    b'{"tags": {"x": {"y": 1, "y": 1}}}': '"y" is given twice',
    b"[" * 100_000: "nested too deeply",
    b"[" * 40 + b"]" * 40: "nested too deeply",
    b'{"a":' * 40 + b"1" + b"}" * 40: "nested too deeply",
    b'{"name": "a\\u0000b"}': "U+0000 in text at /name",
    b'{"name": "\\ud800"}': "U+D800 in text at /name",
    b'{"tags": {"\\udfff": ""}}': "U+DFFF in text at /tags",
    b"1" * 5000: "number is too long",
}


@pytest.mark.parametrize("body", CASES, ids=lambda body: repr(body[:30]))
def test_refused(body: bytes) -> None:
    """Every malformed document is refused with the place or the reason."""
    with pytest.raises(MalformedDocument) as caught:
        parse_document(body)
    assert CASES[body] in str(caught.value)


def test_taken() -> None:
    """Plain JSON is taken, with a byte order mark, pairs of surrogates and the deepest allowed nesting."""
    assert parse_document(b'\xef\xbb\xbf{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert parse_document(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert parse_document(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


def test_hash_ignores_blanks_and_order() -> None:
    """The same request written otherwise is the same request; another value is another."""
    first = document_hash(parse_document(b'{"a": 1, "b": {"c": 2, "d": 3}}'))
    assert first == document_hash(parse_document(b'{"b":{"d":3,"c":2},"a":1}'))
    assert first != document_hash(parse_document(b'{"b":{"d":3,"c":2},"a":2}'))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_the_error(body: bytes) -> None:
    """Nothing else comes out."""
    try:
        document_hash(parse_document(body))
    except MalformedDocument:
        return
