"""What the queue decides is done by a real Ray: one gives way and comes back, one lasts too long, one waits.

One place, three experiments: `gives_way` trains; `lasts` is of higher priority, takes its place, and lasts
longer than it may; `waits` has no place before it gives up. Then `gives_way` goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.shared.schemas import EventPublic, ExperimentPublic
from service.shared.states import State
from tests.e2e.instance import Instance, until
from tests.factories import tiny_document
from trainer.results.report import read_report
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 240.0
POLICY = 'protected = "0s"  # nobody is spared for having only just begun\n'
SCHEDULING: Mapping[str, Mapping[str, Any]] = {
    "gives_way": {"priority": "low", "preemptible": True},
    "lasts": {"priority": "high", "max_duration": 2},
    "waits": {"max_wait": 1},
}
ITERATIONS = {"gives_way": 200, "lasts": 100_000, "waits": 4}


class Story:
    """The three, from their POST to their ends."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.storage = Storage.at(instance.data_dir / "storage")
        self.ids = {"gives_way": self._post("gives_way")}
        first = self.ids["gives_way"]
        until(lambda: self.trained(first, 1) > 30, seconds=LIMIT_SECONDS, what="it has trained for a while")
        self.before = self._now(first)
        self.ids |= {name: self._post(name) for name in ("lasts", "waits")}
        self.ended = {name: self._end(identifier) for name, identifier in self.ids.items()}

    def _post(self, name: str) -> str:
        schedule = {"iterations": ITERATIONS[name], "batch_size": 4, "learning_rate": 0.1}
        document = tiny_document(name=name, schedule=schedule, scheduling=dict(SCHEDULING[name]))
        with self._instance.client() as client:
            return client.submit(document).id

    def _now(self, identifier: str) -> ExperimentPublic:
        with self._instance.client() as client:
            return client.experiment(identifier)

    def _end(self, identifier: str) -> ExperimentPublic:
        return until(
            lambda: one if (one := self._now(identifier)).state.ended else None,
            seconds=LIMIT_SECONDS,
            what=f"{identifier} has ended",
        )

    def events(self, name: str) -> list[EventPublic]:
        with self._instance.client() as client:
            return list(client.events(self.ids[name]))

    def trained(self, identifier: str, attempt: int) -> int:
        """Its last iteration."""
        records = read_records(self.storage.attempt(identifier, attempt).metrics)
        return max((int(each["iteration"]) for each in records if each["kind"] == "train"), default=0)

    def told(self, name: str, attempt: int, word: str) -> list[int]:
        """The iterations at which an attempt told of an event with `word` in it."""
        records = read_records(self.storage.attempt(self.ids[name], attempt).metrics)
        events = [each for each in records if each["kind"] == "event" and word in each["message"]]
        return [int(each["iteration"]) for each in events]

    def mlflow_status(self, name: str) -> str:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self._instance.endpoints.mlflow)
        return str(client.get_run(self.ended[name].mlflow_run_id).info.status)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("queue")
    policy = directory / "policy.toml"
    policy.write_text(POLICY)
    environment = {
        "REBALANCE_POLICY": str(policy),
        "REBALANCE_MAX_RUNNING": "1",
        "REBALANCE_POLL_SECONDS": "0.2",
    }
    running = Instance(Path(directory) / "data", environment=environment)
    try:
        running.start()
        yield Story(running)
    finally:
        code = running.stop()
    assert code == 0


def test_one_gives_way_and_goes_on_where_its_checkpoint_is(story: Story) -> None:
    """It rests for one of higher priority and goes on with the next step, in the same MLflow run: none is
    trained twice, and none of it is a failure.
    """
    ended = story.ended["gives_way"]
    assert ended.state is State.COMPLETED, ended.error
    assert (ended.attempt, ended.queue.preemptions) == (2, 1)
    (back,) = [
        each for each in story.events("gives_way") if each.to_state is State.QUEUED and each.from_state
    ]
    assert "for one of higher priority" in back.reason
    assert "failures" not in back.reason
    assert ended.mlflow_run_id == story.before.mlflow_run_id
    assert story.mlflow_status("gives_way") == "FINISHED"
    identifier = story.ids["gives_way"]
    rested = story.trained(identifier, 1)
    assert story.told("gives_way", 1, "paused") == story.told("gives_way", 2, "resumed") == [rested]
    assert 30 < rested < ITERATIONS["gives_way"]
    assert story.trained(identifier, 2) == ITERATIONS["gives_way"]
    report = read_report(story.storage.attempt(identifier, 2).report)
    assert report is not None
    assert report.result is not None


def test_one_that_lasts_too_long_is_stopped(story: Story) -> None:
    """Its attempt is stopped after `max_duration`, and failed for that, not tried again."""
    ended = story.ended["lasts"]
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert (ended.error.type, ended.attempt) == ("DurationExceeded", 1)
    assert "max_duration of 2 s" in ended.error.message
    running = next(each.at for each in story.events("lasts") if each.to_state is State.RUNNING)
    assert ended.ended_at is not None
    assert (ended.ended_at - running).total_seconds() >= 2
    assert ended.mlflow_run_id is None or story.mlflow_status("lasts") == "FAILED"


def test_one_that_waits_too_long_never_runs(story: Story) -> None:
    """It gives up by itself, says what it waited for, and leaves no job, directory or MLflow run."""
    ended = story.ended["waits"]
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert ended.error.type == "WaitExceeded"
    assert " of " in ended.error.message.partition("longer than its max_wait: ")[2]
    assert ended.started_at is None
    assert ended.mlflow_run_id is None
    assert not story.storage.newest_attempt(story.ids["waits"])
