"""Tokens as text: what is one, and what each scope may do."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from service.shared.tokens import NAME, Scope, digest, new_secret, well_formed

DIGITS = string.digits + string.ascii_letters


def test_a_new_token() -> None:
    """Prefix, at least 160 random bits, checksum; two are never the same."""
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(well_formed(each) and each.startswith("rrb_") and len(each) == 40 for each in made)
    assert 62**30 > 2**160


@given(st.integers(0, 39), st.sampled_from(DIGITS))
def test_one_wrong_character_is_told(place: int, letter: str) -> None:
    """A checksum of 32 bits sees every single mistake."""
    secret = new_secret()
    mistyped = secret[:place] + letter + secret[place + 1 :]
    assert well_formed(mistyped) is (mistyped == secret)


@given(st.text(max_size=60))
def test_other_text_is_none(text: str) -> None:
    """Nothing else is taken for a token, and no text makes the question fail."""
    assert not well_formed(text)
    assert not well_formed(new_secret() + text[:1] + "x")


def test_a_known_token() -> None:
    """The form does not change: what people keep in files goes on to count."""
    body = "0123456789ABCDEFGHIJKLMNOPQRST"
    assert well_formed(f"rrb_{body}4PMbyp")
    assert digest("rrb_")[:16] == "503fc965b290f1fe"


def test_scopes_include_those_before_them() -> None:
    """viewer, user, admin: each may what the ones before it may, and none more."""
    order = [Scope.VIEWER, Scope.USER, Scope.ADMIN]
    for one in order:
        assert [one.includes(other) for other in order] == [
            order.index(other) <= order.index(one) for other in order
        ]


def test_names_stand_in_a_line_of_the_log() -> None:
    """No blank, no end of line, nothing that hides."""
    assert NAME.fullmatch("kim@lab.example")
    assert not any(NAME.fullmatch(text) for text in ("", "a b", "a\n", "é", "-a", "a" * 101))
