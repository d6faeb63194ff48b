"""Which experiments have the specs that somebody asks for: of one, and of a sweep's many trials at once."""

from __future__ import annotations

from datetime import timedelta

from service.shared.states import State
from tests.unit.service.conftest import START, World


def test_the_newest_of_each(world: World) -> None:
    """Each hash has its own newest, as many as are asked for; those that were stopped are none."""
    for number, (spec_hash, state) in enumerate(
        [
            ("a", State.COMPLETED),
            ("a", State.RUNNING),
            ("b", State.QUEUED),
            ("a", State.COMPLETED),
            ("a", State.CANCELLED),
        ]
    ):
        world.add(
            f"e{number}", spec_hash=spec_hash, state=state, created_at=START + timedelta(minutes=number)
        )
    newest = [("e3", State.COMPLETED), ("e1", State.RUNNING)]
    asked = ["a", "c", "b", "a"]
    many = world.store.of_hashes(asked, limit=2)
    assert many == [newest, [], [("e2", State.QUEUED)], newest]
    assert many == [world.store.of_hashes([each], limit=2)[0] for each in asked]
    assert world.store.of_hashes([], limit=2) == []


def test_more_than_fit_into_a_question(world: World) -> None:
    """A sweep's trials may be thousands."""
    world.add("e1", spec_hash="h1234")
    found = world.store.of_hashes([f"h{each}" for each in range(2000)], limit=2)
    assert [place for place, each in enumerate(found) if each] == [1234]
