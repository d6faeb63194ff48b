"""From what clients raise to the few kinds of trouble."""

from __future__ import annotations

import errno
import pickle
import threading

import pytest

from trainer.storage.tracking import Trouble
from trainer.tracking.trouble import TrackerError, only_about_this, translated, trouble_of, within


class Coded(Exception):
    """As MLflow's: with a code beside its text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.error_code = code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Coded("INVALID_PARAMETER_VALUE", "The run r must be in the 'active' state."), Trouble.DELETED),
        (Coded("RESOURCE_DOES_NOT_EXIST", "Run with id=r not found"), Trouble.DELETED),
        (Coded("PERMISSION_DENIED", "no"), Trouble.REFUSED),
        (Coded("UNAUTHENTICATED", "You are not authenticated"), Trouble.LOCKED),
        (Coded("INTERNAL_ERROR", "failed: 401 Client Error: Unauthorized for url"), Trouble.LOCKED),
        (Coded("INTERNAL_ERROR", "(sqlite3.OperationalError) database or disk is full"), Trouble.FULL),
        (Coded("INTERNAL_ERROR", "failed with error code 507 != 200"), Trouble.FULL),
        (OSError(errno.ENOSPC, "No space left on device"), Trouble.FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Trouble.FULL),
        (Coded("INTERNAL_ERROR", "Max retries exceeded (Caused by ReadTimeoutError(…))"), Trouble.SLOW),
        (TimeoutError("timed out"), Trouble.SLOW),
        (
            Coded("INTERNAL_ERROR", "Max retries exceeded: [Errno 111] Connection refused"),
            Trouble.UNREACHABLE,
        ),
        (Coded("ENDPOINT_NOT_FOUND", "API request failed with error code 404 != 200"), Trouble.BROKEN),
        (Coded("INTERNAL_ERROR", "too many 503 error responses"), Trouble.BROKEN),
        (KeyError("experiment"), Trouble.BROKEN),
    ],
)
def test_kinds(error: Exception, kind: Trouble) -> None:
    """Each sentence names what was the matter, in one line."""
    found = trouble_of(error)
    assert found.kind is kind
    assert found.told.startswith(f"MLflow {kind.said}: ")
    assert "\n" not in found.told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Coded("INVALID_STATE", "cannot be restored"), True),
        (Coded("INVALID_PARAMETER_VALUE", "unable to restore it"), True),
        (Coded("RESOURCE_DOES_NOT_EXIST", "no such run"), True),
        (Coded("PERMISSION_DENIED", "no"), True),
        (Coded("UNAUTHENTICATED", "You are not authenticated"), False),
        (Coded("INTERNAL_ERROR", "too many 503 error responses"), False),
        (Coded("TEMPORARILY_UNAVAILABLE", "overloaded"), False),
        (Coded("ENDPOINT_NOT_FOUND", "API request failed with error code 404 != 200"), False),
        (Coded("INTERNAL_ERROR", "Max retries exceeded: [Errno 111] Connection refused"), False),
        (Coded("INTERNAL_ERROR", "disk is full"), False),
        (KeyError("run"), False),
    ],
)
def test_a_living_run_is_not_replaced(error: Exception, expected: bool) -> None:
    """A server that answers with an error has the run still; only one that refuses this run costs another."""
    assert only_about_this(error) is expected


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (
            'NewConnectionError("<Connection object at 0x{}>: [Errno 111] Connection refused")',
            "[Errno 111] Connection refused",
        ),
        ("ResponseError('too many 503 error responses')", "too many 503 error responses"),
        (
            "ReadTimeoutError(\"Pool(host='h', port={}): Read timed out. (read timeout=1)\")",
            "Read timed out. (read timeout=1",
        ),
    ],
)
def test_the_same_trouble_has_the_same_words(inner: str, said: str) -> None:
    """Few of them, without what differs each time: that would make a new notice of each repetition."""
    for number in (255, 4711):
        text = (
            f"HTTPConnectionPool(host='h', port=1): Max retries exceeded (Caused by {inner.format(number)})"
        )
        assert str(trouble_of(Exception(text))) == said


def test_whatever_is_raised_becomes_ours() -> None:
    """Any error of the client's is a TrackerError, which survives pickling; one of ours stays as it is."""
    with pytest.raises(TrackerError, match="'experiment'") as caught, translated():
        raise KeyError("experiment")
    assert pickle.loads(pickle.dumps(caught.value)).kind is Trouble.BROKEN
    ours = TrackerError("so", Trouble.SLOW)
    with pytest.raises(TrackerError) as same, translated():
        raise ours
    assert same.value is ours


def test_the_servers_own_words_are_asked_for_where_the_client_has_none() -> None:
    """A full disk behind "too many 503 error responses" is found out."""
    with (
        pytest.raises(TrackerError) as caught,
        translated(lambda: "503: disk is full"),
    ):
        raise RuntimeError("too many 503 error responses")
    assert caught.value.kind is Trouble.FULL


def test_a_limit_holds_whatever_hangs() -> None:
    """A value, an error, or the limit."""
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(5, lambda: {}["a"])
    hanging = threading.Event()
    with pytest.raises(TrackerError, match=r"within 0\.05 s") as caught:
        within(0.05, lambda: hanging.wait(10))
    hanging.set()
    assert caught.value.kind is Trouble.SLOW
