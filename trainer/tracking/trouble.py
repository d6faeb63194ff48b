"""What MLflow's client and its HTTP library raise, sorted into the few kinds of trouble that matter to us."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from trainer.base.files import is_disk_full
from trainer.storage.tracking import Trouble
from trainer.tracking.credentials import CredentialsRefused

Value = TypeVar("Value")
_MOST_CHARACTERS = 240
_ERRNO = re.compile(r"\[Errno -?\d+\] [^'\")<]+")
_OBJECT = re.compile(r"<?\b[\w.]+ object at 0x[0-9a-f]+>?:? ?")
_CAUSE = "(Caused by "
_CLASS = re.compile(r"^\w+\(['\"]?")
_FULL = ("disk is full", "no space left", "disk full", "quota exceeded", "insufficient storage", "code 507")
_SLOW = ("timed out", "timeout", "readtimeouterror")
_DELETED = ("current state is deleted", "must be in the 'active' state")
_LOCKED = frozenset({"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_REFUSED = frozenset({"PERMISSION_DENIED"})
_ABOUT_THIS = frozenset({"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"})
_NO_WORDS = " error responses"
_UNREACHABLE = ("connection", "max retries exceeded", "name or service not known", "name resolution")
# Of errors whose status the client tells in no other way than in words.
_WORDS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    (Trouble.FULL, _FULL),
    (Trouble.DELETED, _DELETED),
    (Trouble.BROKEN, ("error code 404",)),  # a page of something that is no MLflow
    (Trouble.LOCKED, ("error code 401", "401 client error")),
    (Trouble.REFUSED, ("error code 403", "403 client error")),
    (Trouble.SLOW, _SLOW),
    (Trouble.BROKEN, (_NO_WORDS,)),
    (Trouble.UNREACHABLE, _UNREACHABLE),
)


class TrackerError(Exception):
    """The tracking server did not take what was sent; `kind` is why, as far as it lets on."""

    def __init__(self, message: str, kind: Trouble = Trouble.BROKEN) -> None:
        super().__init__(message, kind)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def told(self) -> str:
        """A sentence about MLflow."""
        return f"MLflow {self.kind.said}: {self}"


class translated:
    """Turns whatever the tracking client raises into TrackerError: no mistake of it may end a training."""

    def __init__(self, words: Callable[[], str | None] = lambda: None) -> None:
        """`words` asks the server itself, where its client says no more than how often it answered badly."""
        self._words = words

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        del kind, trace
        if isinstance(error, Exception) and not isinstance(error, TrackerError):
            found = trouble_of(error)
            words = self._words() if _NO_WORDS in str(found) else None
            raise (TrackerError(_short(words), _kind_of(Exception(words))) if words else found) from error


def trouble_of(error: BaseException) -> TrackerError:
    """The error in our words, and of which kind it is."""
    return TrackerError(_short(error), _kind_of(error))


def only_about_this(error: BaseException) -> bool:
    """Whether another run, or group of runs, may be had where this one could not be looked at or restored.

    Not while the server is in trouble, or the credentials are: the run is there when they are well.
    """
    kind = trouble_of(error).kind
    if kind is Trouble.BROKEN:
        return str(getattr(error, "error_code", "")) in _ABOUT_THIS
    return kind in (Trouble.DELETED, Trouble.REFUSED)


def _kind_of(error: BaseException) -> Trouble:
    chain = list(_chain(error))
    if is_disk_full(error):
        return Trouble.FULL
    code = str(getattr(error, "error_code", ""))
    text = " ".join(str(each) for each in chain).lower()
    for kind, words in _WORDS[:3]:
        if any(word in text for word in words):
            return kind
    if code in _LOCKED or isinstance(error, CredentialsRefused):
        return Trouble.LOCKED
    if code in _REFUSED:
        return Trouble.REFUSED
    if code == "RESOURCE_DOES_NOT_EXIST":
        return Trouble.DELETED
    return next((kind for kind, words in _WORDS if any(word in text for word in words)), Trouble.BROKEN)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException | str) -> str:
    """One line, without what differs each time, such as an object's address."""
    text = " ".join(str(error).split()) or type(error).__name__
    if (found := _ERRNO.search(text)) is not None:
        text = found[0].strip()
    elif _CAUSE in text:  # urllib3's: the address, the number of tries, and last of all the matter
        inner = _CLASS.sub("", text.rpartition(_CAUSE)[2]).rstrip("'\")")
        text = inner.rpartition("): ")[2]
    text = _OBJECT.sub("", text)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def within(seconds: float, work: Callable[[], Value]) -> Value:
    """What `work` gives, done in a thread of its own.

    Raises:
        TrackerError: it took longer, whatever it hangs on; it is left to itself.
        BaseException: what it raised.
    """
    done: list[Value] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - handed over to who waits
            failed.append(error)

    thread = threading.Thread(target=run, name="tracker-end", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TrackerError(f"not everything was taken within {seconds:g} s", Trouble.SLOW)
    return done[0]
