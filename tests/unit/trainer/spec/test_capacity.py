"""What a cluster may become: how it is written, and what is beyond it."""

from __future__ import annotations

import pytest

from trainer.spec.capacity import capacity_problems, larger, machines_text, parse_machines
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources


@pytest.mark.parametrize(
    ("text", "machines"),
    [("gpus=8,cpus=128", Machines(8, 128)), ("cpus=4, gpus=1", Machines(1, 4)), ("cpus=4", Machines(0, 4))],
)
def test_how_it_is_written(text: str, machines: Machines) -> None:
    """In any order; what is left out is none."""
    assert parse_machines(text) == machines
    assert parse_machines(machines_text(machines)) == machines


@pytest.mark.parametrize(
    "text", ["", "8", "gpu=8", "gpus=-1", "gpus=1.5", "gpus=1,gpus=2", "gpus=1;cpus=2", "gpus=²"]
)
def test_what_is_none(text: str) -> None:
    """Told with what is allowed."""
    with pytest.raises(ValueError, match="allowed: gpus=N,cpus=N"):
        parse_machines(text)


def test_what_is_beyond_it() -> None:
    """All workers together, each kind by its own pointer; nothing where no maximum is declared."""
    wanted = Resources(workers=4, gpus_per_worker=0.5, cpus_per_worker=3)
    assert capacity_problems(wanted, None) == capacity_problems(wanted, Machines(2, 12)) == []
    told = [str(problem) for problem in capacity_problems(wanted, Machines(1, 11))]
    assert [line.partition(";")[0] for line in told] == [
        "/resources/gpus_per_worker: 4 worker(s) take 2 GPU",
        "/resources/cpus_per_worker: 4 worker(s) take 12 CPU",
    ]


def test_the_larger_of_each_kind() -> None:
    """What lives may be more than what was declared, of one kind and not of the other."""
    assert larger(Machines(1, 64), Machines(8, 2)) == Machines(8, 64)
    assert larger(Machines(1, 64), None) == Machines(1, 64)
