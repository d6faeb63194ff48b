"""What many threads ask for at once, done by one of them: by itself, and where experiments are stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from service.shared.access.acting import ACTOR
from service.shared.log_lines import REQUEST_ID
from service.store.commits.together import Together
from service.store.records import Filters, StoreUnavailable
from service.store.trail.audit import DeedFilters
from tests.unit.service.conftest import World, new_row, until

_LIMIT_SECONDS = 20.0


class Clerk:
    """Does numbers: refuses a negative one for its own sake, and everything while it is `ill`."""

    def __init__(self) -> None:
        self.together: Together[int] = Together(self._act, of_one=ValueError)
        self.goes: list[list[int]] = []
        self.done: list[int] = []
        self.ill: Exception | None = None
        self.ill_at: int | None = None  # None: always; else where it comes first
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def _act(self, numbers: Sequence[int]) -> None:
        self.goes.append(list(numbers))
        self.begun.set()
        assert self.may_end.wait(_LIMIT_SECONDS)
        if self.ill is not None and self.ill_at in (None, *numbers[:1]):
            raise self.ill
        for number in numbers:
            if number < 0:
                raise ValueError(number)
        self.done += numbers

    def do_behind(self, first: int, others: Sequence[int]) -> list[Future[None]]:
        """`first`, and the others, which all come while that is under way."""
        self.may_end.clear()
        self.begun.clear()
        with ThreadPoolExecutor(len(others) + 1) as threads:
            futures = [threads.submit(self.together.do, first)]
            assert self.begun.wait(_LIMIT_SECONDS)
            for number, each in enumerate(others, start=1):
                futures.append(threads.submit(self.together.do, each))
                until(lambda: len(self.together._waiting) == number)  # noqa: B023, asked at once
            self.may_end.set()
        return futures


def kinds(futures: Sequence[Future[None]]) -> list[str]:
    return [type(each.exception()).__name__ for each in futures]


def test_those_who_come_meanwhile_are_done_in_one_go() -> None:
    """Eight who come while another is done for are done by one of them, at once."""
    clerk = Clerk()
    futures = clerk.do_behind(0, range(1, 9))
    assert kinds(futures) == ["NoneType"] * 9
    assert clerk.goes == [[0], list(range(1, 9))]


def test_ones_own_trouble_comes_to_nobody_else() -> None:
    """Where one of several may be to blame each is done by itself; it alone hears of it."""
    clerk = Clerk()
    futures = clerk.do_behind(0, [1, -2, 3])
    assert kinds(futures) == ["NoneType", "NoneType", "ValueError", "NoneType"]
    assert clerk.done == [0, 1, 3]


def test_trouble_that_is_nobodys_own_comes_to_all_who_waited_for_it() -> None:
    """They do not wait as long once more; who comes after it asks again."""
    clerk = Clerk()
    clerk.ill = StoreUnavailable("locked")
    futures = clerk.do_behind(0, [1, 2])
    assert kinds(futures) == ["StoreUnavailable"] * 3
    assert clerk.goes == [[0]]
    clerk.ill = None
    clerk.together.do(3)
    assert clerk.done == [3]


def test_what_was_done_before_the_trouble_stays_done() -> None:
    """Done one by one, those before it have what they asked for; those behind it are told."""
    clerk = Clerk()
    clerk.ill, clerk.ill_at = StoreUnavailable("gone"), 3
    futures = clerk.do_behind(0, [1, -2, 3, 4])
    assert kinds(futures) == ["NoneType", "NoneType", "ValueError", "StoreUnavailable", "StoreUnavailable"]
    assert clerk.done == [0, 1]


def test_each_is_done_once() -> None:
    """Whoever comes when: all numbers that can be done are, once, and each hears of its own."""
    clerk = Clerk()
    numbers = [-each if each % 7 == 0 else each for each in range(1, 400)]
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(clerk.together.do, each) for each in numbers]
    refused = {number for number, each in zip(numbers, futures, strict=True) if each.exception() is not None}
    assert refused == {each for each in numbers if each < 0}
    assert sorted(clerk.done) == [each for each in numbers if each > 0]


# ------------------------------------------------ where experiments are stored


@contextmanager
def asking(name: str) -> Iterator[None]:
    """A request of theirs is being answered in this thread."""
    set_back = (REQUEST_ID.set(f"of-{name}"), ACTOR.set(name))
    yield
    REQUEST_ID.reset(set_back[0])
    ACTOR.reset(set_back[1])


def all_behind(world: World, each: Callable[[int], object], number: int) -> list[object]:
    """What comes of it for each number, all of which came while somebody else was storing."""
    inside, go = threading.Event(), threading.Event()
    together = world.store._together

    def hold() -> None:
        with world.store._database.writing():
            inside.set()
            assert go.wait(_LIMIT_SECONDS)

    def first() -> object:
        plain, together._act = together._act, lambda asked: (hold(), plain(asked))[1]
        try:
            return world.add("first")
        finally:
            together._act = plain

    with ThreadPoolExecutor(number + 1) as threads:
        futures = [threads.submit(first)]
        assert inside.wait(_LIMIT_SECONDS)
        futures += [threads.submit(each, one) for one in range(number)]
        until(lambda: len(together._waiting) == number)
        go.set()
    return [each.result() for each in futures[1:]]


def test_each_row_is_its_askers(world: World) -> None:
    """Stored by one thread for all, each has its event and tags, and the record of who asked for it."""

    def store(number: int) -> object:
        with asking(f"user{number}"):
            row = replace(new_row(f"e{number}"), owner=f"user{number}")
            return world.store.create(row, new_tags={"who": str(number)})

    assert len(all_behind(world, store, 6)) == 6
    deeds, _ = world.store.audit.page(DeedFilters(), cursor=None, limit=50)
    assert {(each.subject, each.actor, each.request) for each in deeds} == {
        (f"e{each}", f"user{each}", f"of-user{each}") for each in range(6)
    }
    for each in range(6):
        assert world.store.get(f"e{each}").owner == f"user{each}"
        assert world.reasons(f"e{each}") == ["stored"]
        found, _ = world.store.page(Filters(tags=[("who", str(each))]), cursor=None, limit=5)
        assert [row.id for row in found] == [f"e{each}"]


def test_of_one_key_one_is_stored(world: World) -> None:
    """Of three with one key one is stored and the others get it; those beside them are stored as well."""

    def store(number: int) -> object:
        key = "same" if number < 3 else None
        return world.store.create(replace(new_row(f"e{number}"), idempotency_key=key), new_tags={}).id

    found = all_behind(world, store, 5)
    assert found[3:] == ["e3", "e4"]
    assert len(set(found[:3])) == 1
    rows, _ = world.store.page(Filters(), cursor=None, limit=50)
    assert {each.id for each in rows} == {"first", found[0], "e3", "e4"}


def test_keys_are_taken_in_one_order(world: World) -> None:
    """Whatever order they came in: two services that take the same ones do not wait for each other."""

    def store(number: int) -> object:
        row = replace(new_row(f"e{number}"), idempotency_key=f"key-{9 - number}")
        return world.store.create(row, new_tags={})

    all_behind(world, store, 6)
    order = [world.store.history(f"e{each}", after=0, limit=1)[0][0].id for each in range(6)]
    assert order == sorted(order, reverse=True)
