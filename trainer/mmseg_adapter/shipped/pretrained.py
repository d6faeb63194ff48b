"""The weights that config files begin with: a name for each, where they lie, and what they have to become."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mmengine

_HUB = Path(mmengine.__path__[0]) / "hub"
_LISTS = {
    "open-mmlab": "openmmlab.json",
    "openmmlab": "openmmlab.json",
    "mmcls": "mmcls.json",
    "torchvision": "torchvision_0.12.json",
}
_HOSTS = ("mmassets.onedl.ai", "download.openmmlab.com")
_HASH = re.compile(r"-([0-9a-f]{8})$")  # how a published file's SHA-256 begins
_DATE = re.compile(r"_(20\d{6})$")
_BACKBONE = "backbone."

_BEIT = "https://conversationhub.blob.core.windows.net/beit-share-public/beit/"
_JX = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx/"
_DEIT = "https://dl.fbaipublicfiles.com/deit/"
# What files want made by hand from other repositories' weights, with mmseg's model_converters: by the
# local name, where the original lies and its layout. Sources: README.md beside each of these configs.
_MADE_BY_HAND: dict[str, tuple[str, str]] = {
    "beit_base_patch16_224_pt22k_ft22k": (f"{_BEIT}beit_base_patch16_224_pt22k_ft22k.pth", "beit"),
    "beit_large_patch16_224_pt22k_ft22k": (f"{_BEIT}beit_large_patch16_224_pt22k_ft22k.pth", "beit"),
    "mae_pretrain_vit_base_mmcls": (
        "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_base.pth",
        "beit",
    ),
    "jx_vit_base_p16_224-80ecf9dd": (f"{_JX}jx_vit_base_p16_224-80ecf9dd.pth", "timm"),
    "vit_base_patch16_224": (f"{_JX}jx_vit_base_p16_224-80ecf9dd.pth", "timm"),
    "vit-b16_p16_224-80ecf9dd": (f"{_JX}jx_vit_base_p16_224-80ecf9dd.pth", "timm"),
    "jx_vit_large_p16_384-b3be5167": (f"{_JX}jx_vit_large_p16_384-b3be5167.pth", "timm"),
    "vit_large_p16": (f"{_JX}jx_vit_large_p16_384-b3be5167.pth", "timm"),
    "deit_small_patch16_224-cd65a155": (f"{_DEIT}deit_small_patch16_224-cd65a155.pth", "timm"),
    "deit_base_patch16_224-b5f2ef4d": (f"{_DEIT}deit_base_patch16_224-b5f2ef4d.pth", "timm"),
}


@dataclass(frozen=True)
class Found:
    """Weights that a model's config names."""

    url: str  # or a local path, where it is not known what is meant
    layout: str  # "mmseg", "mmpretrain" (names begin with `backbone.`), "beit", "timm"
    part: tuple[str, ...]  # keys of the model's config, down to the part that they are of


def pretrained_of(model: Mapping[str, Any]) -> Found | None:
    """What the backbone, or the part of it that is one of its own, begins with."""
    found = next(_named(model), None)
    if found is None:
        return None
    checkpoint, prefix, part = found
    url, layout = _resolved(checkpoint)
    if prefix == _BACKBONE:
        layout = "mmpretrain"
    return Found(url, layout, part or ("backbone",))


def weights_list(sources: Mapping[str, Found]) -> tuple[dict[str, Any], dict[str, str]]:
    """weights.json, and the name in it of each of the URLs.

    Args:
        sources: of each config file that names weights, which.
    """
    urls = sorted({found.url for found in sources.values()})
    stems = {url: _stem(url) for url in urls}
    newest: dict[str, str] = {}
    for url in sorted(urls, key=lambda url: (stems[url][1], url)):
        newest[stems[url][0]] = url
    names = {url: name if newest[name] == url else f"{name}_{date}" for url, (name, date, _) in stems.items()}
    entries = {}
    for url in urls:
        files = sorted(file for file, found in sources.items() if found.url == url)
        layout = next(found.layout for found in sources.values() if found.url == url)
        entries[names[url]] = {
            "urls": _mirrors(url),
            "sha256": stems[url][2],
            "layout": layout,
            "source": f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}",
        }
    return dict(sorted(entries.items())), names


def _named(
    value: Mapping[str, Any], part: tuple[str, ...] = ()
) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """(checkpoint, prefix in it, keys down to the part) of all that a config names, the outermost first."""
    if isinstance(value.get("pretrained"), str):
        yield value["pretrained"], None, part
    init = value.get("init_cfg")
    for one in init if isinstance(init, list) else [init or {}]:
        if isinstance(one.get("checkpoint"), str):
            yield one["checkpoint"], one.get("prefix"), part
    for key, item in value.items():
        if key != "init_cfg" and isinstance(item, dict):
            yield from _named(item, (*part, key))


def _resolved(checkpoint: str) -> tuple[str, str]:
    """URL and layout of a checkpoint as mmengine would find it."""
    scheme, _, name = checkpoint.partition("://")
    if scheme in _LISTS:
        urls = json.loads((_HUB / _LISTS[scheme]).read_text(encoding="utf-8"))
        return urls[name], "mmpretrain" if scheme == "mmcls" else "mmseg"
    if name:
        return checkpoint, "mmseg"
    stem = Path(checkpoint).stem
    return _MADE_BY_HAND.get(stem, (f"{stem}.pth", "unknown"))


def _stem(url: str) -> tuple[str, str, str | None]:
    """(short name, date, first digits of the SHA-256) of a published file."""
    stem = Path(urlsplit(url).path).stem
    found = _HASH.search(stem)
    stem = _HASH.sub("", stem)
    date = _DATE.search(stem)
    return _DATE.sub("", stem), date[1] if date else "", found[1] if found else None


def _mirrors(url: str) -> list[str]:
    """The URL and, of a file of OpenMMLab, the other host's; none of what is only a local path."""
    host = urlsplit(url).netloc
    if host in _HOSTS:
        return [url.replace(host, one, 1) for one in _HOSTS]
    return [url] if host else []
