"""A database that takes no changes is remembered as such, until it takes one."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from service.store.records import StoreUnavailable
from tests.unit.service.conftest import START, World, make_token
from tests.unit.service.refused import no_changes, opened_read_only


def test_a_refusal_is_remembered_until_a_change_is_taken(world: World) -> None:
    """With the database's words; reading goes on; asking again changes nothing that is stored."""
    world.add()
    with no_changes() as switch:
        with pytest.raises(StoreUnavailable) as caught:
            world.add("e2")
        assert world.store.refusal() == str(caught.value) != ""
        assert world.store.get("e1").id == "e1"
        with pytest.raises(StoreUnavailable):
            world.store.ask_again()
        switch.refused = False
        world.store.ask_again()
        assert world.store.refusal() is None
    world.store.ping()


def test_nothing_is_asked_again_that_was_not_refused(world: World) -> None:
    """An idle service writes nothing."""
    with no_changes():
        world.store.ask_again()
        assert world.store.refusal() is None


def test_who_reads_waits_for_no_note_of_a_token(world: World) -> None:
    """Each note would wait as long as a locked database is waited for; later uses are noted again."""
    made = make_token(world.settings)
    found = world.store.tokens.find(made.token)
    assert found is not None
    with no_changes() as switch:
        with pytest.raises(StoreUnavailable):
            world.store.tokens.used(found, now=START)
        world.store.tokens.used(found, now=START)
        switch.refused = False
        world.store.ask_again()
    world.store.tokens.used(found, now=START + timedelta(hours=1))
    noted = world.store.tokens.find(made.token)
    assert noted is not None
    assert noted.last_used_at == START + timedelta(hours=1)


def test_what_was_read_only_is_written_to_again(world: World) -> None:
    """Without a restart: connections that were made meanwhile, and can only read, are not kept."""
    world.store.close()  # and with it the connections that could write
    with opened_read_only():
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"read-?only"):
                world.add()
        world.store.ping()
    with suppress(StoreUnavailable):
        world.store.ask_again()  # as each pass does; it may meet the connection by which we read just now
    world.store.ask_again()
    world.add()
    assert world.store.refusal() is None
