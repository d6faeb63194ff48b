"""The catalogue as the service reads it: cheap, whole, and searched by words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.spec.augmentation import Augmentation
from trainer.spec.catalogue import shipped as reader
from trainer.spec.catalogue.shipped import model_config, pixels, search, shipped, shipped_model
from trainer.spec.catalogue.weights_list import WEIGHTS
from trainer.spec.schedule import Schedule

SEGFORMER = "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512"


def test_an_entry() -> None:
    """As its file and mmseg's tables say."""
    entry = shipped_model(SEGFORMER)
    assert (entry.name, entry.head, entry.backbone) == (SEGFORMER, "SegformerHead", "MixVisionTransformer-B0")
    assert (entry.dataset, entry.num_classes, entry.batch_size) == ("ade20k", 150, 16)
    assert (entry.mIoU, entry.mIoU_ms, entry.usable) == (37.41, 38.34, True)
    assert entry.parameters == 3_753_718  # 3.8 M in the paper's Table 1
    assert entry.pretrained == "mit_b0"
    with pytest.raises(KeyError):
        shipped_model("segformer/none")


def test_every_entry_is_whole() -> None:
    """Words that a spec takes, weights that are listed, a model that is there, or a reason."""
    for entry in shipped().values():
        Schedule.model_validate(dict(entry.schedule))
        Augmentation.model_validate(dict(entry.augmentation))
        assert entry.batch_size == entry.schedule["batch_size"]
        assert entry.pretrained is None or entry.pretrained in WEIGHTS
        assert entry.usable or entry.unusable
        assert not entry.usable or (entry.parameters and entry.num_classes)
        assert model_config(entry)["type"]
        assert len(pixels(entry)["mean"]) == 3 or not entry.usable


def test_models_are_the_callers_own() -> None:
    """A change of one is in no other."""
    entry = shipped_model(SEGFORMER)
    model_config(entry)["backbone"]["type"] = "other"
    pixels(entry)["mean"].clear()
    assert model_config(entry)["backbone"]["type"] == "MixVisionTransformer"
    assert pixels(entry)["mean"] == [123.675, 116.28, 103.53]


def test_no_model_names_weights() -> None:
    """Nothing that mmseg would fetch when it builds or initialises a model."""
    for entry in shipped().values():
        assert '"checkpoint"' not in str(model_config(entry)).replace("'", '"')


def test_search() -> None:
    """All words, in any order and case, of name, head, backbone and data set; what can be trained first."""
    found = search("UPerHead ade20k SwinTransformer-T")
    assert [entry.name for entry in found][:1] == [
        "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512"
    ]
    assert all(entry.head == "UPerHead" for entry in found)
    everything = search("")
    assert len(everything) == len(shipped())
    usable = [entry.usable for entry in everything]
    assert usable == sorted(usable, reverse=True)
    assert search("no such words") == []


def test_weights() -> None:
    """Published digests begin with eight digits; a URL is https; the paper's are there."""
    assert {"resnet50_v1c", "hrnetv2_w18", "swin_tiny_patch4_window7_224", "mit_b0"} <= set(WEIGHTS)
    for name, weights in WEIGHTS.items():
        assert weights.name == name
        assert all(url.startswith("https://") for url in weights.urls)
        assert weights.sha256 is None or len(weights.sha256) == 8


def test_it_is_small() -> None:
    """A wheel carries it."""
    files = list(Path(reader.__file__).parent.glob("*.json"))
    assert len(files) == 7
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_it_loads_without_mmseg() -> None:
    """In a process of its own."""
    code = (
        "import sys; from trainer.spec.catalogue import shipped; shipped.shipped(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'mmseg', 'mmengine', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
