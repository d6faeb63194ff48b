"""The client's calls about follow-ups and checkpoints, against the real application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service.client import RebalanceClient
from service.client.client import ApiError, ApiUnreachable
from service.shared.states import State
from tests.data_factories import png_bytes, spec_document
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.followup_job import followup_report, leave
from tests.unit.service.served import Service, ended_followup

PICTURE = png_bytes(6, 4, depth=8, colour=2)


@pytest.fixture
def client(service: Service) -> Iterator[RebalanceClient]:
    with RebalanceClient(service.url) as opened:
        yield opened


@pytest.fixture
def trained(service: Service, client: RebalanceClient) -> str:
    identifier = client.submit(spec_document()).id
    leave_checkpoints(service.settings.layout, identifier, ("final", "iter_500"))
    return identifier


def test_an_evaluation_from_request_to_scores(
    service: Service, client: RebalanceClient, trained: str
) -> None:
    """Stored, listed, waited for; its report has every class."""
    request = {"modes": ["single_scale", "multi_scale"]}
    asked = client.evaluate(trained, request, idempotency_key="k1")
    assert client.evaluate(trained, request, idempotency_key="k1").id == asked.id
    assert [each.id for each in client.evaluations(trained)] == [asked.id]
    assert list(client.evaluations(trained, state=["completed"])) == []
    ended_followup(service, asked.id, lambda row: leave(service.settings.layout, followup_report(row)))
    done = client.wait_followup(asked.id)
    assert done.state is State.COMPLETED
    assert done.scores is not None
    assert list(done.scores) == ["single_scale", "multi_scale"]
    result = client.followup_report(asked.id).result
    assert result is not None
    assert result.kind == "evaluation"
    assert next(event.reason for event in client.followup_events(asked.id)) == "stored"
    assert client.followup_logs(asked.id).next_offset == 0


def test_a_picture_and_its_labels(service: Service, client: RebalanceClient, trained: str) -> None:
    """The PNG once it is there."""
    asked = client.start_prediction(trained, PICTURE, checkpoint="final")
    here = service.settings.layout.followup(trained, asked.id)

    def label(row: object) -> None:
        here.labels.write(b"png")
        leave(service.settings.layout, followup_report(row))  # type: ignore[arg-type]

    ended_followup(service, asked.id, label)
    assert client.prediction_picture(asked) == b"png"
    assert [each.id for each in client.predictions(trained)] == [asked.id]
    with pytest.raises(ApiError) as caught:
        client.start_prediction(trained, b"no picture")
    assert caught.value.status == 422


def test_an_export_is_cancelled_and_tried_again(
    service: Service, client: RebalanceClient, trained: str
) -> None:
    """As any follow-up."""
    asked = client.export(trained, ["onnx"])
    assert client.export_files(asked).items == ()
    assert client.cancel_followup(asked.id).cancel_requested_at is not None
    ended_followup(service, asked.id, lambda row: None)
    assert client.followup(asked.id).state is State.CANCELLED
    assert client.retry_followup(asked.id).attempt == 2
    assert [each.id for each in client.exports(trained)] == [asked.id]


def test_a_checkpoint_is_downloaded(
    service: Service, client: RebalanceClient, trained: str, tmp_path: Path
) -> None:
    """Byte for byte; one that is not there leaves no file."""
    assert [each.name for each in client.checkpoints(trained)] == ["final", "iter_500"]
    client.download_checkpoint(trained, "final", tmp_path / "it.pth")
    kept = service.settings.layout.checkpoints(trained).file("final.pth")
    assert (tmp_path / "it.pth").read_bytes() == kept.read_bytes()
    with pytest.raises(ApiError) as caught:
        client.download_checkpoint(trained, "best-of-all", tmp_path / "other.pth")
    assert caught.value.status == 404
    assert [path.name for path in tmp_path.iterdir()] == ["it.pth"]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """What was there stays as it was."""

    def cut() -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("the line is dead")

    answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200, content=cut())  # noqa: E731
    (tmp_path / "it.pth").write_bytes(b"before")
    with (
        RebalanceClient("http://service", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(ApiUnreachable, match="the line is dead"),
    ):
        client.download_checkpoint("e1", "final", tmp_path / "it.pth")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_pruning_waits_for_the_end(client: RebalanceClient, trained: str) -> None:
    """409 while the experiment goes on."""
    with pytest.raises(ApiError) as caught:
        client.prune(trained, keep=["final"])
    assert caught.value.status == 409
