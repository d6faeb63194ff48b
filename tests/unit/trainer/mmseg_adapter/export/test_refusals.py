"""What is not taken away: it is told why, and nothing of it stays."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.unit.trainer.mmseg_adapter.export.deployed_models import (
    CLASSES,
    WHOLE,
    built,
    deployed,
    real_pictures,
)
from tests.unit.trainer.tiny_mmseg import OTHERS, mmseg_scope
from trainer.export import FORMATS, main
from trainer.mmseg_adapter.export.alone.process import FORBIDDEN, Blocker
from trainer.mmseg_adapter.export.drawing import drawing_part
from trainer.mmseg_adapter.export.export import export_model
from trainer.mmseg_adapter.export.mmseg_folder import CONFIG

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*")


def hamburger() -> tuple[Any, dict[str, Any]]:
    """A model whose head factorises its maps from random bases, also when it predicts."""
    head = {**OTHERS["LightHamHead"], "num_classes": len(CLASSES)}
    config = {
        "type": "EncoderDecoder",
        "backbone": {"type": "TinyBackbone"},
        "decode_head": head,
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }
    return built(config)


def test_models_that_draw_are_refused_by_name(camvid: Path, tmp_path: Path) -> None:
    """In every format; the part is named, no folder is left, and no random stream of ours has moved."""
    with mmseg_scope():
        model, meta = hamburger()
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        pictures = real_pictures(camvid, (64, 64))
        made, refused = export_model(model, meta, pictures, FORMATS, tmp_path / "out", way=WHOLE)
    assert made == []
    assert list(refused) == list(FORMATS)
    assert all("hamburger.ham (NMF2D) draws random numbers" in why for why in refused.values())
    assert not (tmp_path / "out").exists()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_models_that_do_not_draw(camvid: Path) -> None:
    """Dropout and drop path draw in training only; the model's hooks are taken off again."""
    model, _ = deployed("segformer")
    (picture,) = real_pictures(camvid, (64, 64), number=1)
    assert drawing_part(model, picture) is None
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_other_labels_are_refused(camvid: Path, tmp_path: Path) -> None:
    """A folder whose model predicts otherwise is not kept: here a meta that is another model's."""
    model, meta = deployed("fpn")
    meta["model"]["data_preprocessor"]["std"] = [1.0, 1.0, 1.0]
    pictures = real_pictures(camvid, (64, 96), number=1)
    made, refused = export_model(model, meta, pictures, ["mmseg"], tmp_path, way=WHOLE)
    assert made == []
    assert "of the pixels of 1 picture get another label" in refused["mmseg"]
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_there_is_replaced(camvid: Path, tmp_path: Path) -> None:
    """As a whole; and class names of any kind come back from the config as they are."""
    model, meta = deployed("fpn")
    (tmp_path / "mmseg").mkdir()
    (tmp_path / "mmseg" / "old").touch()
    pictures = real_pictures(camvid, (64, 96), number=1)
    (made,), refused = export_model(model, meta, pictures, ["mmseg", "mmseg"], tmp_path, way=WHOLE)
    assert refused == {}
    assert (made.path, made.pictures, made.differing) == ("mmseg", 1, 0.0)
    assert [each.name for each in tmp_path.iterdir()] == ["mmseg"]
    assert not (tmp_path / "mmseg" / "old").exists()
    config = Config.fromfile(tmp_path / "mmseg" / CONFIG)
    assert tuple(config.test_dataloader.dataset.metainfo.classes) == CLASSES


def test_a_picture_is_needed(tmp_path: Path) -> None:
    model, meta = deployed("fpn")
    with pytest.raises(ValueError, match="at least one real picture"):
        export_model(model, meta, [], ["mmseg"], tmp_path, way=WHOLE)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_may_not_be_imported_apart(name: str) -> None:
    """The process in which exports are tried has nothing of ours, nor of mmsegmentation."""
    with pytest.raises(ImportError, match=name):
        Blocker().find_spec(f"{name}.inner")
    assert Blocker().find_spec("torch") is None


def test_bad_input_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing checkpoint, a file that is no picture, a folder that is there: exit code 2, and words."""
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "out" / "onnx").mkdir(parents=True)

    def told(*arguments: str) -> str:
        with contextlib.suppress(SystemExit):  # argparse's, with the same code
            assert main(arguments) == 2
        return capsys.readouterr().err

    out = ("--out", str(tmp_path / "new"))
    assert "--picture" in told("final.pth", "--format", "mmseg", *out)
    assert "invalid choice" in told("final.pth", "--format", "tensorrt", "--picture", "a.png", *out)
    picture = ("--picture", str(tmp_path / "text.png"))
    assert "text.png" in told("final.pth", "--format", "mmseg", *picture, *out)
    there = told("final.pth", "--format", "onnx", *picture, "--out", str(tmp_path / "out"))
    assert "is there already" in there
    assert not (tmp_path / "new").exists()
