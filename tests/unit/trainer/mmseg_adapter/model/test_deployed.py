"""final.pth builds its model again, from anybody's file, and says what is wrong with one that cannot."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from tests.own_models import OWN_MODELS
from tests.unit.trainer.mmseg_adapter.model.rendering import rendered
from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter.model.deployed import load_deployed, plain_model
from trainer.mmseg_adapter.model.outline import outline
from trainer.plan import Plan
from trainer.run.runner import build_model
from trainer.run.worker import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]
Payload = dict[str, Any]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = tiny_plan(
        tmp_path_factory.mktemp("storage"),
        method="region_rebalance",
        schedule={"iterations": 2, "batch_size": 4},
    )
    train(plan, ListSink())
    return plan


@pytest.fixture(scope="module")
def final(plan: Plan) -> Path:
    return plan.layout.checkpoints(plan.experiment).local / "final.pth"


def test_a_checkpoint_builds_its_model_and_predicts_the_same(plan: Plan, final: Path) -> None:
    """From the file alone: the same bits as the model of the plan with the file's weights."""
    model, meta = load_deployed(final)
    expected: Any = build_model(plan)
    expected.load_state_dict(torch.load(final, weights_only=True)["state_dict"], strict=True)
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(pictures, mode="tensor"), expected.eval()(pictures, mode="tensor"))
    assert not model.training
    assert meta["dataset_meta"]["classes"] == list(plan.data.classes)
    assert len(meta["dataset_meta"]["palette"]) == len(plan.data.classes)
    assert meta["spec"] == plan.spec.model_dump(mode="json")
    assert meta["mmseg_version"] == plan.versions["onedl-mmsegmentation"]
    assert "loss_decode" not in str(meta["model"])


@pytest.mark.parametrize("name", OWN_MODELS)
def test_every_kind_of_model_comes_back(name: str, tmp_path: Path) -> None:
    """Each example, with first weights named in its config, loads strictly from what is kept of it."""
    config = rendered(OWN_MODELS[name], num_classes=3)
    made = outline(config)
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in made.state_dict().items()}
    config["init_cfg"] = {"type": "Pretrained", "checkpoint": "nowhere"}
    file = tmp_path / "final.pth"
    meta = {"model": plain_model(config), "dataset_meta": {"classes": ["a", "b", "c"]}}
    torch.save({"state_dict": state, "meta": meta}, file)
    model, _ = load_deployed(file)
    assert model.state_dict().keys() == state.keys()


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch ran",)


def without(payload: Payload, *path: str) -> Payload:
    changed = copy.deepcopy(payload)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def having(payload: Payload, path: str, value: Any) -> Payload:
    changed = copy.deepcopy(payload)
    place = changed
    *parents, last = path.split("/")
    for key in parents:
        place = place[key]
    place[last] = value
    return changed


ODD: dict[str, tuple[Callable[[Payload], Any], str]] = {
    "a list": (lambda _: [1, 2], "no dictionary"),
    "a state dict alone": (lambda payload: payload["state_dict"], "of another kind"),
    "to resume from": (lambda payload: {**payload, "optimizer": {}}, "to resume from"),
    "no model": (lambda payload: without(payload, "meta", "model"), "which model"),
    "a tensor as a model": (lambda payload: having(payload, "meta/model", torch.ones(2)), "which model"),
    "no classes": (lambda payload: without(payload, "meta", "dataset_meta"), "classes"),
    "numbers as classes": (
        lambda payload: having(payload, "meta/dataset_meta/classes", [1, 2]),
        "classes",
    ),
    "fewer classes": (lambda payload: having(payload, "meta/dataset_meta/classes", ["a"]), "1 classes"),
    "a part that loads": (
        lambda payload: having(payload, "meta/model/backbone", {"type": "TIMMBackbone", "model_name": "a"}),
        "TIMMBackbone",
    ),
    "first weights": (
        lambda payload: having(payload, "meta/model/backbone/pretrained", "http://nowhere"),
        "pretrained",
    ),
    "another preprocessor": (
        lambda payload: having(payload, "meta/model/data_preprocessor/type", "os.system"),
        "SegDataPreProcessor",
    ),
    "an object in a setting": (
        lambda payload: having(payload, "meta/model/test_cfg", {"a": {"type": "X"}}),
        "test_cfg",
    ),
    "another network": (
        lambda payload: having(payload, "meta/model/backbone/stem_channels", 4),
        "do not fit",
    ),
    "weights that are none": (
        lambda payload: {**payload, "state_dict": dict.fromkeys(payload["state_dict"], "x")},
        "do not fit",
    ),
    "code": (lambda payload: {**payload, "more": Runs()}, "more than tensors"),
}


@pytest.mark.parametrize("name", ODD)
def test_other_files_are_refused_in_words(
    name: str, final: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be deployed is an error that names it and says why; nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    change, words = ODD[name]
    file = tmp_path / "odd.pth"
    torch.save(change(torch.load(final, weights_only=True)), file)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_deployed(file)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_refused_in_words(final: Path, tmp_path: Path) -> None:
    """Cut short anywhere, a bit turned, empty, missing, a directory, text, a bare pickle."""
    whole = final.read_bytes()
    file = tmp_path / "damaged.pth"
    for size, words in (
        (len(whole) // 2, "cut short"),
        (len(whole) - 1, "cut short"),
        (0, "no checkpoint of torch"),
    ):
        file.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=words):
            load_deployed(file)
    with zipfile.ZipFile(final) as archive:
        weights = max(archive.infolist(), key=lambda record: record.file_size)
    turned = weights.header_offset + weights.file_size // 2
    file.write_bytes(whole[:turned] + bytes([whole[turned] ^ 1]) + whole[turned + 1 :])
    with pytest.raises(CheckpointError, match="damaged: the check sum of"):
        load_deployed(file)
    for content in (b"some text\n" * 100, pickle.dumps({"a": 1}), bytes(1000)):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"no checkpoint|no dictionary|another kind"):
            load_deployed(file)
    with pytest.raises(CheckpointError, match="not there"):
        load_deployed(tmp_path / "missing.pth")
    with pytest.raises(CheckpointError, match="directory"):
        load_deployed(tmp_path)
