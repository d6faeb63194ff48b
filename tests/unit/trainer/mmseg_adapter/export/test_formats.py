"""A checkpoint taken away in every format by the command, and used as its model card says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.factories import ListSink, tiny_plan
from tests.unit.trainer.mmseg_adapter.export.deployed_models import real_pictures
from trainer.export import FORMATS, main
from trainer.mmseg_adapter.export.alone import process
from trainer.mmseg_adapter.export.pictures import predicted
from trainer.mmseg_adapter.model.deployed import load_deployed
from trainer.run.worker import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*"),
]


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> Path:
    schedule = {"iterations": 2, "batch_size": 4}
    plan = tiny_plan(tmp_path_factory.mktemp("storage"), method="region_rebalance", schedule=schedule)
    train(plan, ListSink())
    return plan.layout.checkpoints(plan.experiment).local / "final.pth"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory, camvid: Path) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "picture.png"
    (part,) = real_pictures(camvid, (96, 64), number=1)
    cv2.imwrite(str(file), part)
    return file


@pytest.fixture(scope="module")
def exported(final: Path, picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every format, as the command leaves it."""
    out = tmp_path_factory.mktemp("out")
    code = main([str(final), "--format", *FORMATS, "--picture", str(picture), "--out", str(out)])
    assert code == 0
    return out


@pytest.fixture(scope="module")
def wanted(final: Path, picture: Path) -> list[str]:
    """What a snippet prints: the classes that the checkpoint sees in the picture."""
    model, meta = load_deployed(final)
    labels = predicted(model, cv2.imread(str(picture)), (96, 64))
    return [f"{k} {meta['dataset_meta']['classes'][k]}" for k in np.unique(labels)]


def test_nothing_else_is_left(exported: Path) -> None:
    """A folder for each format and no more, none of them with compiled files or a path of this machine."""
    assert sorted(each.name for each in exported.iterdir()) == sorted(FORMATS)
    for file in exported.rglob("*"):
        assert file.suffix != ".pyc"
        assert file.is_dir() or str(exported).encode() not in file.read_bytes()
        assert file.is_dir() or str(Path(process.__file__).parents[1]).encode() not in file.read_bytes()


def test_card_programs_run_apart(exported: Path, picture: Path, wanted: list[str]) -> None:
    """The cards' programs for torch, ONNX and MLflow see the same classes without our packages or mmseg."""
    folders = [exported / name for name in ("torch_export", "onnx", "mlflow")]
    for folder in folders:
        (folder / "picture.png").write_bytes(picture.read_bytes())
    here, blocking = (
        Path(__file__).with_name("run_snippets.py"),
        Path(process.__file__),
    )
    done = subprocess.run(
        [sys.executable, "-IB", str(here), str(blocking), *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = re.split(r"== \w+\n", done.stdout)[1:]
    assert [each.splitlines() for each in told] == [wanted] * len(folders)


@pytest.mark.parametrize("name", ["mmseg", "safetensors"])
def test_card_programs_run_with_mmseg(
    name: str, exported: Path, picture: Path, wanted: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The cards' programs for mmsegmentation see the same classes."""
    folder = exported / name
    monkeypatch.chdir(folder)
    (folder / "picture.png").write_bytes(picture.read_bytes())
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-len(wanted) :] == wanted


def test_tensors_are_the_checkpoints(exported: Path, final: Path) -> None:
    """Both files of weights hold its tensors, bit for bit, and nothing to be run."""
    state = torch.load(final, weights_only=True)["state_dict"]
    safe = load_file(exported / "safetensors" / "weights.safetensors")
    plain = torch.load(exported / "mmseg" / "weights.pth", weights_only=True)["state_dict"]
    assert safe.keys() == plain.keys() == state.keys()
    assert all(
        torch.equal(safe[name], state[name]) and torch.equal(plain[name], state[name]) for name in state
    )
    document = json.loads((exported / "safetensors" / "model.json").read_text())
    assert document["model"]["type"] == "EncoderDecoder"
    assert len(document["classes"]) == len(document["palette"])


def test_mmlab_scores_a_data_set_with_the_config(exported: Path, camvid: Path, tmp_path: Path) -> None:
    """mmsegmentation's own test loop runs on it, once it is told where a data set lies."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    (picture,) = real_pictures(camvid, (64, 64), number=1)
    for part in ("images/val", "annotations/val"):
        (tmp_path / part).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/val/a.jpg"), picture)
    cv2.imwrite(str(tmp_path / "annotations/val/a.png"), np.zeros((64, 64), np.uint8))
    config = Config.fromfile(exported / "mmseg" / "config.py")
    config.test_dataloader.dataset.data_root = str(tmp_path)
    config.work_dir = str(tmp_path / "work")
    config.load_from = str(exported / "mmseg" / "weights.pth")
    scores = Runner.from_cfg(config).test()
    assert {"mIoU", "aAcc"} <= scores.keys()


def test_cards_say_what_it_is(exported: Path, final: Path) -> None:
    """Experiment, data set, method, classes, versions, and how far it was compared."""
    meta = torch.load(final, weights_only=True)["meta"]
    for name in FORMATS:
        text = (exported / name / "README.md").read_text()
        for fact in (meta["experiment"], "digit_scenes", "region_rebalance", "iterations 2", "torch 2."):
            assert fact in text
        assert all(f"- {k}: {label}\n" in text for k, label in enumerate(meta["dataset_meta"]["classes"]))
        assert "On 1 real picture " in text
        score = meta["score"]
        assert f"| score in training | {score['name']} {score['value']:.2f} % ({score['mode']}) |" in text
        assert "random weights" in text
