"""One commit for all who write at the same time: SQLite, its file on a real disk, threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from service.store.commits.shared import SharedCommit
from service.store.engine import make_engine, writing
from tests.unit.service.conftest import until

_LIMIT_SECONDS = 20.0


class Book:
    """A table of numbers, and how many transactions were committed."""

    def __init__(self, path: Path) -> None:
        self.engine: Engine = make_engine(f"sqlite:///{path}")
        self.shared = SharedCommit(writing(self.engine))
        self.commits = 0
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
        event.listen(self.engine, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    def write(self, number: int, then: Callable[[], object] = lambda: None) -> None:
        """Stores it, and does `then` before the transaction's end."""
        with self.shared.transaction() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
            then()

    def read(self) -> list[int]:
        """What anybody else sees."""
        with self.engine.connect() as connection:
            return list(connection.scalars(text("SELECT n FROM numbers ORDER BY n")))

    def waiting(self) -> int:
        """How many threads wait for their turn."""
        return self.shared._waiting


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "numbers.db")
    yield made
    made.engine.dispose()


def together(
    book: Book, first: Callable[[], object], others: list[Callable[[], object]]
) -> list[Future[object]]:
    """`first` within a transaction of its own, and the others, which come while it is open."""
    go = threading.Event()
    inside = threading.Event()

    def hold() -> None:
        inside.set()
        assert go.wait(_LIMIT_SECONDS)
        first()

    with ThreadPoolExecutor(len(others) + 1) as threads:
        futures: list[Future[object]] = [threads.submit(book.write, 0, hold)]
        assert inside.wait(_LIMIT_SECONDS)
        futures += [threads.submit(other) for other in others]
        until(lambda: book.waiting() == len(others))
        go.set()
    return futures


def nothing() -> None:
    """The first has no more to do."""


def test_those_who_come_together_are_committed_once(book: Book) -> None:
    """Eight who wait while another writes cost one commit with it, and each is there once it returns."""
    seen: list[bool] = []

    def write(number: int) -> None:
        book.write(number)
        seen.append(number in book.read())

    futures = together(book, nothing, [lambda n=n: write(n) for n in range(1, 9)])  # type: ignore[misc]
    assert [future.exception() for future in futures] == [None] * 9
    assert book.read() == list(range(9))
    assert seen == [True] * 8
    assert book.commits == 1


def test_what_cannot_be_taken_back_alone_takes_all_with_it(book: Book) -> None:
    """Half of a block is never committed, also where SQLite fails to undo it."""

    def fail() -> None:
        with book.shared.transaction() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (1)"))
            connection.exec_driver_sql("RELEASE own")
            raise ValueError

    with pytest.raises(OperationalError, match="no such savepoint"):
        fail()
    assert book.read() == []
    book.write(2)
    assert book.read() == [2]


def test_nobody_sees_what_is_not_committed(book: Book) -> None:
    """While the transaction is open nothing of it is read, nor has anybody returned who is in it."""
    looked: list[list[int]] = []
    together(book, lambda: looked.append(book.read()), [lambda: book.write(1)])
    assert looked == [[]]
    assert book.read() == [0, 1]


def test_ones_trouble_is_its_own(book: Book) -> None:
    """A block that raises is taken back whole, and those beside it are stored."""

    def fail() -> None:
        book.write(5, lambda: book.missing())  # type: ignore[attr-defined]

    futures = together(
        book, nothing, [lambda: book.write(1), fail, lambda: book.write(0), lambda: book.write(2)]
    )
    kinds = [type(future.exception()).__name__ for future in futures]
    assert kinds == ["NoneType", "NoneType", "AttributeError", "IntegrityError", "NoneType"]
    assert book.read() == [0, 1, 2]


def test_trouble_is_told_once_its_cause_is_durable(book: Book) -> None:
    """Who is refused for what another one wrote beside him finds it there when he looks."""
    looked: list[list[int]] = []

    def twice() -> None:
        try:
            book.write(0)
        finally:
            looked.append(book.read())

    futures = together(book, nothing, [twice, twice, lambda: book.write(3)])
    assert [type(future.exception()).__name__ for future in futures].count("IntegrityError") == 2
    assert looked == [[0, 3]] * 2


def test_the_last_one_failing_leaves_nobody_waiting(book: Book) -> None:
    """Whoever ends the transaction ends it for all, also where its own block raised."""
    futures = together(book, nothing, [lambda: book.write(0)])
    assert futures[0].exception() is None
    assert type(futures[1].exception()).__name__ == "IntegrityError"
    assert book.read() == [0]


def test_a_transaction_given_up_fails_all_who_are_in_it(book: Book) -> None:
    """Where SQLite rolls everything back by itself, as on a full disk, nobody is told that he was stored."""

    def give_up() -> None:
        with book.shared.transaction() as connection:
            connection.exec_driver_sql("ROLLBACK")
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    futures = together(book, nothing, [give_up])
    assert [type(future.exception()) for future in futures] == [OperationalError] * 2
    assert book.read() == []
    book.write(7)
    assert book.read() == [7]


def test_a_commit_that_fails_fails_all(book: Book) -> None:
    """Each of those who share a commit learns that it failed, and nothing of it is there."""

    def refuse(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(book.engine, "commit", refuse)
    futures = together(book, nothing, [lambda: book.write(1), lambda: book.write(2)])
    event.remove(book.engine, "commit", refuse)
    assert [type(future.exception()) for future in futures] == [OperationalError] * 3
    assert book.read() == []


def test_who_waited_for_a_locked_database_waits_once(book: Book) -> None:
    """Another process holds the lock: those who wait together are refused together, not in turn."""
    refusals = 0

    def refuse(_connection: object) -> None:
        nonlocal refusals
        refusals += 1
        until(lambda: book.waiting() == 3 or refusals > 1)
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    event.listen(book.engine, "begin", refuse)
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(book.write, number) for number in range(4)]
    event.remove(book.engine, "begin", refuse)
    assert [type(future.exception()) for future in futures] == [OperationalError] * 4
    assert refusals == 1
    book.write(9)
    assert book.read() == [9]
