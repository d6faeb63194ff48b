"""Programs of models: pictures of any size where the model allows, windows as mmsegmentation lays them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from tests.unit.trainer.mmseg_adapter.export.deployed_models import WHOLE, WINDOWS, deployed, real_pictures
from trainer.mmseg_adapter.export.apart import labels_apart
from trainer.mmseg_adapter.export.pictures import as_input, predicted, share_differing
from trainer.mmseg_adapter.export.program import LabelProgram
from trainer.mmseg_adapter.export.program_files import PROGRAM
from trainer.mmseg_adapter.export.trace import traced_for_any
from trainer.mmseg_adapter.scoring.predictor import TestWay

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning")
_SIZES = ((32, 33), (64, 96), (96, 64), (75, 50))  # for the windows: one row of them, several, cut short
_LARGER = ((64, 96), (96, 64), (75, 80))


@pytest.mark.parametrize(("name", "way"), [("fcn_hrnet", WHOLE), ("beit", WINDOWS), ("fpn", WINDOWS)])
@torch.no_grad()
def test_a_program_is_mmsegs_prediction(name: str, way: TestWay, camvid: Path) -> None:
    """Before it is a graph: the same labels on pictures of several sizes, one of a single window too."""
    model, _ = deployed(name, way)
    program = LabelProgram(model, way.inference)
    for size in (*_SIZES, (32, 32)):
        (picture,) = real_pictures(camvid, size, number=1)
        found = program(as_input(picture)).numpy()[0]
        assert share_differing([found], [predicted(model, picture, size)]) == 0


@pytest.mark.slow
def test_a_transformer_takes_any_size(camvid: Path, tmp_path: Path) -> None:
    """One graph, run apart; by windows also a backbone that knows one size only."""
    model, _ = deployed("beit", WINDOWS)
    pictures = [picture for size in _LARGER for picture in real_pictures(camvid, size, number=1)]
    graph = traced_for_any(LabelProgram(model, WINDOWS.inference), pictures[0])
    assert graph.size is None
    torch.export.save(graph.program, tmp_path / PROGRAM)
    with zipfile.ZipFile(tmp_path / PROGRAM) as parts:
        (sample,) = [part for part in parts.infolist() if "sample_inputs" in part.filename]
    assert sample.file_size < pictures[0].size, "no picture is taken along"
    found = labels_apart("torch_export", tmp_path / PROGRAM, pictures)
    wanted = [predicted(model, picture, picture.shape[:2]) for picture in pictures]
    assert all(len(set(labels.flatten().tolist())) > 1 for labels in wanted)
    assert share_differing(found, wanted) == 0
