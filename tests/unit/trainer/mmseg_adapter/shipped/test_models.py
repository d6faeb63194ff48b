"""A file's model as a model of any run, the weights it names, and what building it tells."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.mmseg_adapter.shipped.augmentation import augmentation_words
from trainer.mmseg_adapter.shipped.facts import Facts, facts_of
from trainer.mmseg_adapter.shipped.files import read_file
from trainer.mmseg_adapter.shipped.models import (
    backbone_name,
    class_count,
    dataset_name,
    head_name,
    pixel_statistics,
    plain_model,
    without_weights,
)
from trainer.mmseg_adapter.shipped.outline import normalised_maps, outline
from trainer.mmseg_adapter.shipped.pretrained import pretrained_of, weights_list
from trainer.spec.models import CATALOGUE

PSPNET = "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024"
BISENET = "bisenetv1/bisenetv1_r18-d32-in1k-pre_4xb4-160k_cityscapes-1024x1024"


def facts(name: str) -> Facts:
    config = read_file(name)
    crop = augmentation_words(config, [])[1]
    found = pretrained_of(config["model"])
    return facts_of(plain_model(config, []), config, (crop[0], crop[1]), found.part if found else ())


def test_a_model_of_any_run() -> None:
    """Weights to begin with, preparation of pictures and prediction are gone; all else is the file's."""
    config = read_file(PSPNET)
    model = plain_model(config, [])
    assert set(config["model"]) - set(model) == {"data_preprocessor", "pretrained", "train_cfg", "test_cfg"}
    assert model["backbone"] == config["model"]["backbone"]
    assert model["decode_head"] == config["model"]["decode_head"]
    assert config["model"]["pretrained"] == "open-mmlab://resnet18_v1c"
    assert (head_name(model), backbone_name(model), dataset_name(config), class_count(model)) == (
        "PSPHead",
        "ResNetV1c-18",
        "cityscapes",
        19,
    )
    assert pixel_statistics(config) == {
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
    }


def test_initialisations_without_a_checkpoint_stay() -> None:
    """At any depth; and weights of one data set's classes are taken out and told."""
    other = {"type": "Normal", "std": 0.01}
    model: Any = {
        "a": [{"init_cfg": {"type": "Pretrained", "checkpoint": "x"}}, {"init_cfg": other}],
        "b": {"init_cfg": [other, {"type": "Pretrained", "checkpoint": "x"}], "pretrained": "y"},
    }
    without_weights(model)
    assert model == {"a": [{}, {"init_cfg": [other]}], "b": {"init_cfg": [other]}}
    notes: list[str] = []
    head = plain_model(read_file("ddrnet/ddrnet_23_in1k-pre_2xb6-120k_cityscapes-1024x1024"), notes)
    assert "class_weight" not in str(head)
    assert any("weighs its 19 classes" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "backbone", "head", "dataset"),
    [
        ("ocrnet/ocrnet_hr18s_4xb4-160k_ade20k-512x512", "HRNet-W18-small", "OCRHead", "ade20k"),
        (
            "pspnet/pspnet_r50-d8_4xb4-320k_coco-stuff164k-512x512",
            "ResNetV1c-50",
            "PSPHead",
            "cocostuff164k",
        ),
        ("pspnet/pspnet_r50-d8_4xb4-40k_coco-stuff10k-512x512", "ResNetV1c-50", "PSPHead", "cocostuff10k"),
        (
            "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512",
            "MixVisionTransformer-B0",
            "SegformerHead",
            "ade20k",
        ),
        ("fcn/fcn_r50-d8_4xb4-40k_voc12aug-512x512", "ResNetV1c-50", "FCNHead", "pascalvoc"),
        (BISENET, "BiSeNetV1 (ResNet-18)", "FCNHead", "cityscapes"),
    ],
)
def test_names(name: str, backbone: str, head: str, dataset: str) -> None:
    """What a person searches for."""
    config = read_file(name)
    model = plain_model(config, [])
    assert (backbone_name(model), head_name(model), dataset_name(config)) == (backbone, head, dataset)


def test_weights_to_begin_with() -> None:
    """Names of mmengine's lists become URLs on both hosts; what is made by hand, the original's; the newest
    of two with one name has it.
    """
    files = {
        "psp": PSPNET,
        "beit": "beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640",
        "segmenter": "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512",
        "poolformer": "poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512",
        "mobile": "mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024",
        "old": "knet/knet-s3_swin-t_upernet_8xb2-adamw-80k_ade20k-512x512",
        "new": "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
    }
    found = {key: pretrained_of(read_file(name)["model"]) for key, name in files.items()}
    weights, names = weights_list({files[key]: one for key, one in found.items() if one})
    assert {key: names[one.url] for key, one in found.items() if one} == {
        "psp": "resnet18_v1c",
        "beit": "beit_large_patch16_224_pt22k_ft22k",
        "segmenter": "vit_tiny_p16_384",
        "poolformer": "poolformer-s12_3rdparty_32xb128_in1k",
        "mobile": "mobilenet_v2_batch256_imagenet",
        "old": "swin_tiny_patch4_window7_224_20220308",
        "new": "swin_tiny_patch4_window7_224",
    }
    assert weights["resnet18_v1c"] == {
        "urls": [
            "https://mmassets.onedl.ai/pretrain/third_party/resnet18_v1c-b5776b93.pth",
            "https://download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth",
        ],
        "sha256": "b5776b93",
        "layout": "mmseg",
        "source": PSPNET,
    }
    layouts = {name: entry["layout"] for name, entry in weights.items()}
    assert layouts["beit_large_patch16_224_pt22k_ft22k"] == "beit"
    assert layouts["poolformer-s12_3rdparty_32xb128_in1k"] == "mmpretrain"
    assert layouts["mobilenet_v2_batch256_imagenet"] == "mmpretrain"
    assert weights["beit_large_patch16_224_pt22k_ft22k"]["sha256"] is None


def test_facts_of_a_model_of_convolutions() -> None:
    """Pyramid pooling has a map of one cell; parameters count the auxiliary head."""
    found = facts(PSPNET)
    assert (found.unusable, found.norm_stride, found.num_layers, found.sized_by_crop) == (
        None,
        0,
        None,
        False,
    )
    assert found.pretrained_module == "backbone"
    assert found.parameters == sum(
        p.numel() for p in outline(plain_model(read_file(PSPNET), [])).parameters()
    )


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512", 32),
        ("fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_ade20k-512x512", 0),
        ("vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512", 0),
        ("unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64", 16),
        ("unet/unet-s5-d16_pspnet_4xb4-40k_drive-64x64", 0),
        ("segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512", 32),
    ],
)
def test_strides(name: str, stride: int) -> None:
    """Necks that want lists and those that want tuples are built; a pooled map is told from a small one."""
    found = facts(name)
    assert (found.unusable, found.norm_stride) == (None, stride)


def test_sizes_and_layers() -> None:
    """MAE's positions are of one size, Swin's of any; both have layers that can be counted."""
    mae = facts("mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512")
    swin = facts("swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512")
    assert (mae.sized_by_crop, mae.num_layers, swin.sized_by_crop, swin.num_layers) == (True, 12, False, 12)


def test_weights_of_a_part_of_the_backbone() -> None:
    """BiSeNet's are of the ResNet within its context path."""
    assert facts(BISENET).pretrained_module == "backbone.context_path.backbone"


def test_the_small_model_has_its_stride() -> None:
    """What is measured on the meta device is what test_smallest_map finds by training."""
    entry = CATALOGUE["small"]
    plain = entry.network().model
    model = {**plain, "decode_head": {**plain["decode_head"], "num_classes": 4}}
    built = outline(model)
    assert min(normalised_maps(built, (33, 16))) == (3, 1)
    assert entry.norm_stride == 16


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512", "needs the package mmpretrain"),
        ("mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024", "needs the package mmdet"),
        ("ccnet/ccnet_r50-d8_4xb4-20k_voc12aug-512x512", "needs operators that mmcv has only where"),
        ("knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512", "does not classify pixels through"),
        ("stdc/stdc1_4xb12-80k_cityscapes-512x1024", "FCNHead samples pixels for its loss"),
        ("unet/unet-s5-d16_fcn_4xb4-160k_hsidrive-192x384", "takes arrays of many bands"),
        ("pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes", "a map of edges"),
    ],
)
def test_what_cannot_be_trained_says_why(name: str, reason: str) -> None:
    """A missing package, an operator, a head or a task of its own: in words, never an error."""
    assert reason in (facts(name).unusable or "")
