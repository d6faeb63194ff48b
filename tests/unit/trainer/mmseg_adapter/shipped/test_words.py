"""Files of mmsegmentation in our words, against words written out by hand from the files."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.mmseg_adapter.shipped.augmentation import augmentation_words, evaluation_words
from trainer.mmseg_adapter.shipped.files import read_file
from trainer.mmseg_adapter.shipped.schedule import schedule_words

# What each of docs/spec.md's four says, in that order of fields.
SGD: dict[str, Any] = {
    "iterations": 160_000,
    "batch_size": 16,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "weight_decay": 0.0005,
    "momentum": 0.9,
    "warmup_iterations": 0,
    "power": 0.9,
    "min_learning_rate": 0.0001,
    "loss_average": "all",
}
ADAMW: dict[str, Any] = {
    **SGD,
    "optimizer": "adamw",
    "betas": [0.9, 0.999],
    "warmup_iterations": 1500,
    "warmup_factor": 1e-6,
    "power": 1.0,
    "min_learning_rate": 0.0,
}
SWIN: dict[str, Any] = {
    **ADAMW,
    "learning_rate": 6e-5,
    "weight_decay": 0.01,
    "parameter_groups": [
        {"match": "norm", "weight_decay": 0.0},
        {"match": "relative_position_bias_table", "weight_decay": 0.0},
    ],
}
BEIT_L: dict[str, Any] = {
    **ADAMW,
    "learning_rate": 2e-5,
    "weight_decay": 0.05,
    "layer_decay": 0.95,
    "precision": "fp16",
    "accumulate": 2,
}
SWIN_NAMES = ("backbone.norm0.weight", "backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table")
_ADE, _164K = "160k_ade20k-512x512", "320k_coco-stuff164k-512x512"
_SWIN_T = f"swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-{_ADE}"
_SWIN_B = f"swin/swin-base-patch4-window7-in22k-pre_upernet_8xb2-{_ADE}"
_BEIT_L = "beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640"

SCHEDULES: dict[str, dict[str, Any]] = {
    f"deeplabv3plus/deeplabv3plus_r50-d8_4xb4-{_ADE}": SGD,
    f"deeplabv3plus/deeplabv3plus_r101-d8_4xb4-{_ADE}": SGD,
    f"pspnet/pspnet_r50-d8_4xb4-{_ADE}": SGD,
    f"pspnet/pspnet_r101-d8_4xb4-{_ADE}": SGD,
    f"ocrnet/ocrnet_hr18_4xb4-{_ADE}": SGD,
    f"ocrnet/ocrnet_hr48_4xb4-{_ADE}": SGD,
    f"upernet/upernet_r50_4xb4-{_ADE}": SGD,
    f"upernet/upernet_r101_4xb4-{_ADE}": SGD,
    _SWIN_T: SWIN,
    _SWIN_B: SWIN,
    _BEIT_L: BEIT_L,
    f"pspnet/pspnet_r50-d8_4xb4-{_164K}": {**SGD, "iterations": 320_000},
    f"pspnet/pspnet_r101-d8_4xb4-{_164K}": {**SGD, "iterations": 320_000},
}
AUGMENTATION: dict[str, Any] = {
    "max_shift": 0,
    "resize_base": [2048, 512],
    "jitter": [0.5, 2.0],
    "cat_max_ratio": 0.75,
    "flip": 0.5,
    "photometric": True,
    "test_size": [2048, 512],
}


def schedule(name: str, trained: tuple[str, ...] = (), layers: int | None = None) -> tuple[Any, list[str]]:
    return schedule_words(name, read_file(name), trained, layers)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_papers_files(name: str) -> None:
    """Every word of the schedule, and augmentation, crop and inference, as read from the file by hand."""
    config, notes = read_file(name), list[str]()
    words, said = schedule_words(name, config, SWIN_NAMES, 24)
    assert words == SCHEDULES[name]
    assert said[0].startswith("batch size: ")
    augmentation, crop = augmentation_words(config, notes)
    evaluation = evaluation_words(config, words.get("accumulate", 1), notes)
    if name == _BEIT_L:
        assert (augmentation, crop) == (
            {**AUGMENTATION, "resize_base": [2560, 640], "test_size": [2560, 640]},
            [640, 640],
        )
        sliding = {"window": [640, 640], "stride": [426, 426]}
        assert evaluation == {"inference": sliding, "interval": 16_000}
        assert (
            "the decay ends at iteration 160000 of 320000, as the file counts; here at the last one" in said
        )
    else:
        assert (augmentation, crop) == (AUGMENTATION, [512, 512])
        assert evaluation == {"inference": "whole", "interval": words["iterations"] // 10}
        assert len(said) == 1
    assert notes == []


def test_parts_of_names_that_nothing_has_are_left_out() -> None:
    """Swin's file names absolute positions, which its model has not; of a model that is unknown all stay."""
    matches = [group["match"] for group in schedule(_SWIN_T, SWIN_NAMES)[0]["parameter_groups"]]
    assert matches == ["norm", "relative_position_bias_table"]
    words, _ = schedule_words(_SWIN_T, read_file(_SWIN_T), None, None)
    assert [group["match"] for group in words["parameter_groups"]] == ["absolute_pos_embed", *matches]


def test_what_our_words_cannot_say_is_told() -> None:
    """Rates that fall in steps, Adam, a fixed scale of the loss, a word of old, stages for layers."""
    knet, said = schedule("knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512")
    assert "the rate falls to 0.1 of itself at iterations 60000, 72000" in said
    assert (knet["clip_gradient_norm"], knet["warmup_iterations"]) == (1.0, 1000)
    _, said = schedule("cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680")
    assert any("Adam, whose decay" in note for note in said)
    amp, said = schedule("fcn/fcn_r101-d8_4xb2-amp-80k_cityscapes-512x1024")
    assert amp["precision"] == "fp16"
    assert any("scaled by 512" in note for note in said)
    mae, said = schedule("mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512", (), 12)
    assert (mae["layer_decay"], mae.get("precision")) == (0.65, None)
    assert any("`fp16`" in note for note in said)
    mobile, said = schedule("mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-320k_cityscapes-512x1024")
    assert (mobile["iterations"], "320000" in said[0]) == (160_000, True)
    convnext, said = schedule("convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512")
    assert "layer_decay" not in convnext
    assert "rates decay by 0.9 from each stage to the one below" in said


def test_batches_are_of_all_gpus() -> None:
    """GPUs times pictures of the name; what the loader says otherwise is told; without either, four GPUs."""
    words, said = schedule("segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512")
    assert (words["batch_size"], said[0]) == (16, "batch size: 1 GPU x 16 of the file's name")
    words, said = schedule("san/san-vit-b16_voc12aug-640x640")
    assert "which the name does not say" in said[0]
    words, said = schedule("poolformer/fpn_poolformer_s36_8x4_512x512_40k_ade20k")
    assert words["batch_size"] == 32
