"""What may stand where in an own model: parts in their rooms, known keys beside them, nothing that loads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.base.errors import Problem
from trainer.base.pointers import json_type
from trainer.spec.catalogue.own_parts import Part, Room, rooms, unfit, usable
from trainer.spec.own.values import key_problem, plain_problems, shown, under

PLAIN = "EncoderDecoder"
CASCADE = "CascadeEncoderDecoder"
_FIELDS = ("type", "backbone", "neck", "decode_head", "auxiliary_head")
_MOST_HEADS = 8

# Keys that hold a part, and the room that it is from.
_PARTS: dict[str, Room] = {
    "backbone_cfg": "networks",
    "norm_cfg": "norms",
    "norm_layer": "norms",
    "act_cfg": "activations",
    "dw_act_cfg": "activations",
    "conv_cfg": "convolutions",
}
# Keys that hold an object without a type, and its keys.
_STAGE = ("num_modules", "num_branches", "block", "num_blocks", "num_channels")
_STAGES = ("stage1", "stage2", "stage3", "stage4")
_OBJECTS: dict[str, tuple[str, ...]] = {
    "extra": _STAGES,
    **dict.fromkeys(_STAGES, _STAGE),
    "ffm_cfg": ("in_channels", "out_channels", "scale_factor"),
    "ham_kwargs": ("MD_S", "MD_R", "train_steps", "eval_steps", "inv_t", "rand_init"),
    "upsample_cfg": ("mode", "scale_factor", "size", "align_corners"),
}
_PLUGIN = ("cfg", "position", "stages")
_POSITIONS = ("after_conv1", "after_conv2", "after_conv3")

_LOADS = "is refused: a model as JSON loads and runs nothing"
_DATA = "is not a key that may be used: the data set decides it"
_METHOD = "is not a key that may be used: the method decides how heads are trained"
_TRAINING = "is not a key that may be used: the other fields of the spec decide it"
_REASONS: dict[str, str] = {
    "init_cfg": "is refused: /weights says which weights a model begins with",
    "pretrained": "is refused: /weights says which weights a model begins with",
    "checkpoint": "is refused: /weights says which weights a model begins with",
    "num_classes": _DATA,
    "out_channels": _DATA,
    "threshold": _DATA,
    "ignore_index": _DATA,
    "loss_decode": _METHOD,
    "loss_se_decode": _METHOD,
    "sampler": _METHOD,
    "data_preprocessor": _TRAINING,
    "train_cfg": _TRAINING,
    "test_cfg": _TRAINING,
    **dict.fromkeys(
        ("_scope_", "_delete_", "_base_", "custom_imports", "imports", "cfg_file", "filename"), _LOADS
    ),
}


def segmentor_problems(config: Mapping[str, Any], where: str, *, of_a_checkpoint: bool) -> Iterator[Problem]:
    """Problems of a whole model that is no deeper than `size_problems` allows; see `own_model_problems`."""
    return _Check(of_a_checkpoint).segmentor(config, where)


class _Check:
    """Problems of each kind of object."""

    def __init__(self, of_a_checkpoint: bool) -> None:
        self._refused_too = of_a_checkpoint

    def segmentor(self, config: Mapping[str, Any], where: str) -> Iterator[Problem]:
        heads = config.get("decode_head")
        kind = config.get("type", CASCADE if isinstance(heads, list) else PLAIN)
        if kind not in (PLAIN, CASCADE):
            yield Problem(f"{where}/type", f"{shown(kind)} is not known", f"{PLAIN} or {CASCADE}")
        fields = (*_FIELDS, "num_stages") if kind == CASCADE else _FIELDS
        yield from self._keys(config, where, fields, "an own model")
        for name in ("backbone", "decode_head"):
            if name not in config:
                yield Problem(f"{where}/{name}", "is missing", "an object with a type")
        if "backbone" in config:
            yield from self.part(config["backbone"], f"{where}/backbone", "networks")
        if config.get("neck") is not None:
            yield from self.part(config["neck"], f"{where}/neck", "necks")
        if "decode_head" in config:
            check = self._cascade if kind == CASCADE else self._head
            yield from check(heads, f"{where}/decode_head")
        if kind == CASCADE and isinstance(heads, list) and config.get("num_stages", len(heads)) != len(heads):
            got = f"{shown(config['num_stages'])} is not the number of decode heads"
            yield Problem(f"{where}/num_stages", got, f"{len(heads)}, or nothing")
        if config.get("auxiliary_head") is not None:
            yield from self._auxiliary(config["auxiliary_head"], f"{where}/auxiliary_head")

    def _head(self, value: object, where: str) -> Iterator[Problem]:
        yield from self.part(value, where, "heads")

    def _cascade(self, value: object, where: str) -> Iterator[Problem]:
        if not isinstance(value, list) or not 2 <= len(value) <= _MOST_HEADS:
            got = f"has {len(value)} items" if isinstance(value, list) else f"is {json_type(value)}"
            yield Problem(where, got, f"a list of 2 to {_MOST_HEADS} heads, as {CASCADE} has them")
            return
        yield from self._head(value[0], f"{where}/0")
        for number, head in enumerate(value[1:], start=1):
            yield from self.part(head, f"{where}/{number}", "cascade_heads")

    def _auxiliary(self, value: object, where: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield from self._head(value, where)
            return
        if not 1 <= len(value) <= _MOST_HEADS:
            yield Problem(where, f"has {len(value)} items", f"a head, or a list of 1 to {_MOST_HEADS}")
            return
        for number, head in enumerate(value):
            yield from self._head(head, f"{where}/{number}")

    def part(self, value: object, where: str, room: Room) -> Iterator[Problem]:
        """Problems of an object with a type that must be in `room`."""
        if not isinstance(value, dict):
            yield Problem(where, f"is {json_type(value)}", "an object with a type")
            return
        part = rooms()[room].get(value["type"]) if isinstance(value.get("type"), str) else None
        if part is None or (part.refused is not None and not self._refused_too):
            yield _type_problem(value, where, room, part)
            return
        yield from self._keys(value, where, ("type", *sorted(part.parameters)), part.name)
        for name in part.required:
            if name not in value:
                yield Problem(under(where, name), "is missing", f"a value: {part.name} has no default for it")
        for key, item in value.items():
            if key in part.parameters:
                yield from self._value(key, item, under(where, key))

    def _keys(
        self, value: Mapping[str, Any], where: str, allowed: tuple[str, ...], owner: str
    ) -> Iterator[Problem]:
        """Keys that may not stand in an object."""
        for key in value:
            if key in allowed:
                continue
            reason = _REASONS.get(key)
            odd = key_problem(key, where)
            if reason is None and odd is not None:
                yield odd
            else:
                got = reason or f"is not a parameter of {owner}"
                yield Problem(under(where, key), got, f"the keys {', '.join(allowed)}")

    def _value(self, key: str, value: object, where: str) -> Iterator[Problem]:
        """Problems of what stands under a known key."""
        if value is None:
            return
        if key in _PARTS:
            yield from self.part(value, where, _PARTS[key])
        elif key == "plugins":
            yield from self._plugins(value, where)
        elif key == "upsample_cfg" and isinstance(value, dict) and "type" in value:
            yield from self.part(value, where, "upsamplers")
        elif key in _OBJECTS:
            yield from self._object(key, value, where)
        else:
            yield from plain_problems(key, value, where)

    def _object(self, key: str, value: object, where: str) -> Iterator[Problem]:
        """Problems of an object without a type."""
        if not isinstance(value, dict):
            yield Problem(where, f"is {json_type(value)}", f"an object with {', '.join(_OBJECTS[key])}")
            return
        yield from self._keys(value, where, _OBJECTS[key], key)
        for name, item in value.items():
            if name in _OBJECTS[key]:
                yield from self._value(name, item, under(where, name))

    def _plugins(self, value: object, where: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(where, f"is {json_type(value)}", f"a list of objects with {', '.join(_PLUGIN)}")
            return
        for number, plugin in enumerate(value):
            here = f"{where}/{number}"
            if not isinstance(plugin, dict):
                yield Problem(here, f"is {json_type(plugin)}", f"an object with {', '.join(_PLUGIN)}")
                continue
            yield from self._keys(plugin, here, _PLUGIN, "a plugin")
            yield from self.part(plugin.get("cfg"), f"{here}/cfg", "plugins")
            if plugin.get("position") not in _POSITIONS:
                yield Problem(f"{here}/position", "is not known, or missing", ", ".join(_POSITIONS))
            yield from plain_problems("stages", plugin.get("stages"), f"{here}/stages")


def _type_problem(value: Mapping[str, Any], where: str, room: Room, part: Part | None) -> Problem:
    """What is wrong with the type of a part."""
    if "type" not in value:
        return Problem(f"{where}/type", "is missing", _names(room))
    name = value["type"]
    if not isinstance(name, str):
        return Problem(f"{where}/type", f"is {json_type(name)}", _names(room))
    reason = part.refused if part is not None else unfit().get(name)
    if reason is not None:
        return Problem(f"{where}/type", f"{name} cannot be used here: it {reason}", _names(room))
    near = difflib.get_close_matches(name[:40], usable(room), n=1, cutoff=0.8)
    like = f" (did you mean {near[0]}?)" if near else ""
    return Problem(f"{where}/type", f"{shown(name)} is not known{like}", _names(room))


def _names(room: Room) -> str:
    return ", ".join(usable(room))
