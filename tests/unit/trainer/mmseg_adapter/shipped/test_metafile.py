"""Published scores find the file that was trained, also where the metafile names another."""

from __future__ import annotations

import pytest

from trainer.mmseg_adapter.shipped.files import file_names
from trainer.mmseg_adapter.shipped.metafile import matched, published

ADE = "160k_ade20k-512x512"
# mmseg's own tables; ROWS of the paper's Tables 3 and 4.
SCORES = {
    f"ocrnet/ocrnet_hr18_4xb4-{ADE}": (39.32, 40.80),
    f"ocrnet/ocrnet_hr48_4xb4-{ADE}": (43.25, 44.88),
    f"upernet/upernet_r50_4xb4-{ADE}": (42.05, 42.78),
    f"upernet/upernet_r101_4xb4-{ADE}": (43.82, 44.85),
    f"pspnet/pspnet_r50-d8_4xb4-{ADE}": (42.48, 43.44),
    f"pspnet/pspnet_r101-d8_4xb4-{ADE}": (44.39, 45.35),
    f"deeplabv3plus/deeplabv3plus_r50-d8_4xb4-{ADE}": (43.95, 44.93),
    f"deeplabv3plus/deeplabv3plus_r101-d8_4xb4-{ADE}": (45.47, 46.35),
    f"swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-{ADE}": (44.41, 45.79),
    f"swin/swin-base-patch4-window7-in22k-pre_upernet_8xb2-{ADE}": (50.13, 51.90),
    "beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640": (56.33, 56.84),
    "pspnet/pspnet_r50-d8_4xb4-320k_coco-stuff164k-512x512": (40.53, 40.75),
    "pspnet/pspnet_r101-d8_4xb4-320k_coco-stuff164k-512x512": (41.95, 42.42),
}


def test_the_papers_rows() -> None:
    """Single and several scales of all thirteen, with the URL of their weights."""
    found = published(file_names())
    assert {name: (found[name].mIoU, found[name].mIoU_ms) for name in SCORES} == SCORES
    assert all(str(found[name].checkpoint).endswith(".pth") for name in SCORES)


@pytest.mark.parametrize(
    ("said", "weights", "file"),
    [
        (  # the entry of 80k iterations says 160k
            f"deeplabv3plus/deeplabv3plus_r101-d8_4xb4-{ADE}",
            "deeplabv3plus_r101-d8_512x512_80k_ade20k_20200615_014139-d5730af7.pth",
            "deeplabv3plus/deeplabv3plus_r101-d8_4xb4-80k_ade20k-512x512",
        ),
        (
            "ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512",
            "ocrnet_hr18_512x512_160k_ade20k_20200615_200940-d8fcd9d1.pth",
            f"ocrnet/ocrnet_hr18_4xb4-{ADE}",
        ),
        (  # 4 GPUs x 4
            "fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024",
            "fastfcn_r50-d32_jpu_psp_4x4_512x1024_80k_cityscapes_20210925_061841-77e87b0a.pth",
            "fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_cityscapes-512x1024",
        ),
        (  # another backbone
            f"twins/twins_pcpvt-l_uperhead_8xb2-{ADE}",
            "twins_svt-l_uperhead_8x2_512x512_160k_ade20k_20211130_141005-3e2cae61.pth",
            f"twins/twins_svt-l_uperhead_8xb2-{ADE}",
        ),
        (  # a letter too many
            "emanet/eemanet_r50-d8_4xb2-80k_cityscapes-512x1024",
            "emanet_r50-d8_512x1024_80k_cityscapes_20200901_100301-c43fcef1.pth",
            "emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024",
        ),
        (  # says nothing of its data: what the entry says stands
            "san/san-vit-b16_coco-stuff164k-640x640",
            "san-vit-b16_20230906-fd0a7684.pth",
            "san/san-vit-b16_coco-stuff164k-640x640",
        ),
        (  # other words for the same
            f"swin/swin-base-patch4-window7-in22k-pre_upernet_8xb2-{ADE}",
            "upernet_swin_base_patch4_window7_512x512_160k_ade20k_pretrain_224x224_22K_20210526_211650-762e2178.pth",
            f"swin/swin-base-patch4-window7-in22k-pre_upernet_8xb2-{ADE}",
        ),
    ],
)
def test_the_weights_say_what_was_trained(said: str, weights: str, file: str) -> None:
    """Of the folder's files the one that shares most with the weights' name; of several the one said."""
    folder = [name for name in file_names() if name.startswith(said.partition("/")[0] + "/")]
    assert matched(said, f"https://host/models/{weights}", folder) == file


def test_without_weights_the_entry_is_believed() -> None:
    """And one that names no file of the folder is nobody's."""
    assert matched("a/b", None, ["a/b", "a/c"]) == "a/b"
    assert matched("a/d", None, ["a/b", "a/c"]) is None
