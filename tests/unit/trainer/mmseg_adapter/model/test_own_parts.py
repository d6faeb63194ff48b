"""The list of parts that own models are made of, held beside the installed mmsegmentation and mmcv."""

from __future__ import annotations

import ast
import inspect
import json
import os
import textwrap
from typing import Any

import mmcv.cnn  # noqa: F401 - registers mmcv's bricks
import mmseg.models  # noqa: F401 - fills mmseg's registries
import pytest
from mmseg.registry import MODELS
from torch import nn

from tests.paths import ROOT
from trainer.spec.catalogue.own_parts import rooms, unfit

FILE = ROOT / "trainer" / "spec" / "catalogue" / "own_parts.json"
# What a spec does not say: it comes from elsewhere, loads, or is refused.
NEVER = {
    *("self", "init_cfg", "pretrained", "dcn", "stage_with_dcn", "device", "dtype", "process_group"),
    *("num_classes", "threshold", "loss_decode", "loss_se_decode", "ignore_index", "sampler"),
}
# What the builders of a room's parts hand over themselves, and what they take beside the constructor's names.
GIVEN = {
    "heads": {"out_channels"},
    "cascade_heads": {"out_channels"},
    "norms": {"num_features", "num_channels", "normalized_shape"},
    "convolutions": {
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"),
        *("padding_mode", "norm_cfg", "act_cfg"),
    },
    "upsamplers": {"in_channels", "out_channels", "with_cp", "norm_cfg", "act_cfg"},
    "plugins": {"in_channels"},
}
VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
TAKEN = {"norms": {"requires_grad"}, "plugins": {"postfix"}}


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """Names that a constructor takes, those included that it hands on to its bases' as **kwargs."""
    found: dict[str, inspect.Parameter] = {}
    fixed: set[str] = set()
    for base in cls.__mro__:
        if base is nn.Module:
            break
        if "__init__" not in vars(base):
            continue
        names = inspect.signature(base.__init__).parameters
        plain = {name: one for name, one in names.items() if one.kind not in VARIABLE}
        found = {**{name: one for name, one in plain.items() if name not in fixed}, **found}
        handed = handed_on(base, {name for name, one in names.items() if one.kind is one.VAR_KEYWORD})
        if handed is None:
            break
        fixed |= handed | plain.keys()
    return found


def handed_on(base: type, kwargs: set[str]) -> set[str] | None:
    """Keywords that `super().__init__` is called with beside its **kwargs; None where it gets no **kwargs."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(base.__init__)))  # type: ignore[misc]
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("__init__"):
            continue
        if any(one.arg is None and ast.unparse(one.value) in kwargs for one in call.keywords):
            return {one.arg for one in call.keywords if one.arg is not None}
    return None


def part(name: str, room: str, kept: dict[str, Any]) -> dict[str, Any]:
    """A part as the file has it."""
    cls = MODELS.get(name)
    assert cls is not None, name
    hidden = NEVER | GIVEN.get(room, set())
    names = {key: one for key, one in parameters_of(cls).items() if key not in hidden}
    required = [key for key, one in names.items() if one.default is inspect.Parameter.empty]
    defaults = {
        key: one.default
        for key, one in names.items()
        if isinstance(one.default, dict) and one.default.get("type") == "SyncBN"
    }
    return {
        "parameters": sorted(names.keys() | TAKEN.get(room, set())),
        **({"required": sorted(required)} if required else {}),
        **({"defaults": defaults} if defaults else {}),
        **({"refused": kept["refused"]} if "refused" in kept else {}),
    }


def rendered(document: dict[str, Any]) -> str:
    """The file: its rooms and names, with what the installed classes take; a line for each part."""
    lines = []
    for room, parts in document["rooms"].items():
        inner = ",\n".join(
            f"   {json.dumps(name)}: {json.dumps(part(name, room, kept))}"
            for name, kept in sorted(parts.items())
        )
        lines.append(f"  {json.dumps(room)}: {{\n{inner}\n  }}")
    reasons = json.dumps(dict(sorted(document["unfit"].items())), indent=2).replace("\n", "\n ")
    return "{\n \"rooms\": {\n" + ",\n".join(lines) + f"\n }},\n \"unfit\": {reasons}\n}}\n"  # fmt: skip


def test_the_golden_list_is_that_of_the_installed_classes() -> None:
    """Which parts there are is said in the file; UPDATE_GOLDEN=1 renews what they take."""
    text = FILE.read_text(encoding="utf-8")
    expected = rendered(json.loads(text))
    if os.environ.get("UPDATE_GOLDEN"):
        FILE.write_text(expected, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == expected


def test_every_network_neck_and_head_of_mmseg_was_looked_at() -> None:
    """What a new mmsegmentation brings fails this until somebody has put it in a room, or said why not."""
    folders = ("backbones", "necks", "decode_heads", "text_encoder")
    there = {
        name
        for name, cls in MODELS.module_dict.items()
        if cls.__module__.startswith(tuple(f"mmseg.models.{folder}." for folder in folders))
    }
    known = {name for room in rooms().values() for name in room} | unfit().keys()
    assert there
    assert there - known == set()


@pytest.mark.parametrize("room", ["norms", "activations", "convolutions", "plugins"])
def test_bricks_are_theirs(room: str) -> None:
    """No other package has put a class of its own behind these names."""
    for name in rooms()[room]:
        module = MODELS.get(name).__module__
        assert module.startswith(("torch.nn.", "mmcv.cnn.", "mmengine.", "mmseg.models.")), (name, module)
