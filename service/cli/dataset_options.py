"""Options for what a data set can be told: one for each field of the data sets' models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from trainer.spec.data.datasets import DATASETS

_OTHERWISE = {"seed": "--dataset-seed"}  # what --seeds begins with would be taken for it
_DEST = "dataset_"  # before the field's name, among the parsed arguments
_NULL = object()  # what `null` is made of, where a text may also be none
_METAVARS = {"string": "TEXT", "integer": "N", "number": "NUMBER"}


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--eval-split`, `--scale` …, an option for each field."""
    group = parser.add_argument_group("of the data set", "Which has which: `rebalance datasets`.")
    for name, (schema, owners) in _fields().items():
        option = _OTHERWISE.get(name, f"--{name.replace('_', '-')}")
        told = schema.get("description", "").replace("%", "%%")
        text = f"{told} ({', '.join(owners)})".strip()
        types = set(_types(schema)) - {"null"}
        if types == {"boolean"}:
            action = argparse.BooleanOptionalAction
            group.add_argument(option, dest=_DEST + name, action=action, default=None, help=text)
        else:
            metavar = _METAVARS.get("".join(types), "JSON")
            text_kind = _text_or_null if "null" in _types(schema) else str
            kind = text_kind if types == {"string"} else _json_or_text
            group.add_argument(option, dest=_DEST + name, metavar=metavar, type=kind, help=text)


def dataset_document(args: argparse.Namespace) -> dict[str, Any]:
    """The data set as a spec has it: `--dataset` and what was told of it; empty where nothing was.

    The service judges the values.
    """
    told = {name: getattr(args, _DEST + name) for name in _fields()}
    given = {name: value for name, value in told.items() if value is not None}
    named = {} if args.dataset is None else {"name": args.dataset}
    return {**named, **{name: None if value is _NULL else value for name, value in given.items()}}


@cache
def _fields() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """(JSON schema, the data sets that have it) of each field, in the models' order."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for dataset, entry in DATASETS.items():
        for name, schema in entry.parameters.model_json_schema()["properties"].items():
            if name != "name":
                found.setdefault(name, (schema, []))[1].append(dataset)
    return found


def _types(schema: dict[str, Any]) -> Iterator[str]:
    """The JSON types of a field; `object` where another schema describes it."""
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _types(part)
    else:
        yield schema.get("type", "object")


def _text_or_null(text: str) -> Any:
    """`null` is JSON's, as in a spec; a file of that name is `./null`."""
    return _NULL if text == "null" else text


def _json_or_text(text: str) -> Any:
    """What is no JSON goes to the service as it is, which says what is allowed."""
    try:
        return json.loads(text)
    except ValueError:
        return text
