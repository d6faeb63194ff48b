"""An own model: a network in mmsegmentation's terms, as JSON that names parts of a list and nothing else.

Nothing in it is imported, loaded or called by what the JSON says: each `type` is a name of
`catalogue/own_parts.json`, each key beside it a parameter of that class, each value a number, a word or a
list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from trainer.base.errors import Problem
from trainer.base.pointers import json_type
from trainer.base.strict_model import StrictModel
from trainer.spec.catalogue.own_parts import rooms
from trainer.spec.own.checks import CASCADE, PLAIN, segmentor_problems
from trainer.spec.own.values import size_problems

ROOT = "/model/config"
_MOST_TOLD = 50


class OwnModel(StrictModel):
    """A network of one's own. `own_model_problems` says whether it may be built."""

    config: dict[str, JsonValue] = Field(
        description="mmsegmentation's config of an encoder-decoder as JSON: backbone, decode_head, and, if "
        "wanted, neck and auxiliary_head, made of the parts in docs/models.md.",
    )

    @property
    def label(self) -> str:
        """How tables call it: `own SegformerHead on MixVisionTransformer`."""
        head = self.config.get("decode_head")
        if isinstance(head, list):
            head = head[-1] if head else None
        return f"own {_type_of(head)} on {_type_of(self.config.get('backbone'))}"


def _type_of(part: object) -> str:
    name = part.get("type") if isinstance(part, dict) else None
    return name if isinstance(name, str) else "model"


def own_model_problems(config: object, where: str = ROOT, *, of_a_checkpoint: bool = False) -> list[Problem]:
    """Why a model is not made of known parts; of very many problems the first ones.

    Args:
        config: any decoded JSON.
        where: the pointer that it has in the document.
        of_a_checkpoint: parts that compute, but that no own model may have, are taken as well.
    """
    if not isinstance(config, dict):
        return [Problem(where, f"is {json_type(config)}", "an object with backbone and decode_head")]
    found = size_problems(config, where)
    if found:
        return found
    found = list(segmentor_problems(config, where, of_a_checkpoint=of_a_checkpoint))
    if len(found) <= _MOST_TOLD:
        return found
    rest = Problem(where, f"{len(found) - _MOST_TOLD} more problems", "a model with none")
    return [*found[:_MOST_TOLD], rest]


def whole_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """An accepted model with what mmsegmentation must be told and a spec need not say.

    That is the segmentor's `type`, a cascade's `num_stages`, and the defaults that name synchronised batch
    norm: written out they can be exchanged on a CPU.
    """
    whole = {name: _with_defaults(value) for name, value in config.items()}
    heads = whole["decode_head"]
    whole.setdefault("type", CASCADE if isinstance(heads, list) else PLAIN)
    if whole["type"] == CASCADE:
        whole["num_stages"] = len(heads)
    return whole


def _with_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = (parts[value["type"]] for parts in rooms().values() if value.get("type") in parts)
    defaults = {name: dict(default) for part in known for name, default in part.defaults.items()}
    return {**defaults, **{name: _with_defaults(item) for name, item in value.items()}}
