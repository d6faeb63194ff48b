"""What a JSON schema allows at a place of a document, in words for a person.

A place is a list of object keys and list indices. Where the schema offers a choice by tag (`kind`,
`name`), the document's own tag decides; where it has none, all alternatives are told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Node = Mapping[str, Any]
Place = Sequence[str | int]

_LOWER = (("minimum", "<="), ("exclusiveMinimum", "<"))
_UPPER = (("maximum", "<="), ("exclusiveMaximum", "<"))
_TYPES = {"boolean": "true or false", "null": "null", "integer": "an integer", "number": "a number"}


def allowed_at(schema: Node, place: Place, document: object) -> str:
    """For example `0 <= lambda <= 10`, `a string of 1 to 100 characters`, `"sgd" or "adamw"`."""
    options = _options_at(schema, place, document)
    constants = list(dict.fromkeys(json.dumps(c, ensure_ascii=False) for o in options for c in _constants(o)))
    others = [_words(option, _name(place)) for option in options if not any(True for _ in _constants(option))]
    others = list(dict.fromkeys(others))
    objects = [option for option in options if option.get("type") == "object"]
    if constants and objects:
        return _word_or_object(constants, objects)
    return _either([*constants, *others]) or "nothing"


def _word_or_object(constants: list[str], objects: list[Node]) -> str:
    """Objects that have their name, or kind, in a field are of a catalogue; of others what they must have."""
    if any(_is_named(each) for each in objects):
        others = [name for each in objects if not _is_named(each) for name in each.get("required", ())]
        with_others = f" with {_either(['name', *others])}" if others else ""
        return f"a catalogue name ({', '.join(constants)}) or an object{with_others}"
    needed = [name for each in objects for name in each.get("required", ())]
    return _either([*constants, f"an object with {' and '.join(needed)}"])


def _is_named(option: Node) -> bool:
    """Whether an object of a catalogue has its name, or kind, in a field."""
    fields = option.get("properties", {})
    named = [node for name, node in fields.items() if name in ("name", "kind")]
    return not fields or any("const" in node or "enum" in node for node in named)


def keys_allowed_at(schema: Node, place: Place, document: object) -> str:
    """What the keys of the object at `place` may be."""
    texts = []
    options = _options_at(schema, place, document)
    for option in [one for one in options if one.get("type") != "null"]:
        names = dict(option.get("propertyNames", {}))
        pattern = next(iter(option.get("patternProperties", {})), None)
        texts.append(_string({"pattern": pattern, **names} if pattern else names))
    return _either(list(dict.fromkeys(texts)))


def fields_at(schema: Node, place: Place, document: object) -> list[str]:
    """Names of the fields of the object at `place`."""
    options = _options_at(schema, place, document)
    return list(dict.fromkeys(name for option in options for name in option.get("properties", {})))


def _options_at(schema: Node, place: Place, document: object) -> list[Node]:
    nodes: list[Node] = [schema]
    value: Any = document
    for token in place:
        options = [option for node in nodes for option in _flat(node, schema)]
        nodes = [child for option in _by_tag(options, value) for child in _children(option, token)]
        inside = isinstance(value, dict) or (isinstance(value, list) and isinstance(token, int))
        try:
            value = value[token] if inside else None
        except (KeyError, IndexError):
            value = None
    options = [option for node in nodes for option in _flat(node, schema)]
    return _by_tag(options, value)


def _flat(node: Node, schema: Node) -> Iterator[Node]:
    """Alternatives of a node, references followed."""
    if "$ref" in node:
        yield from _flat(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    elif "anyOf" in node or "oneOf" in node:
        for part in (*node.get("anyOf", ()), *node.get("oneOf", ())):
            yield from _flat(part, schema)
    else:
        yield node


def _by_tag(options: list[Node], value: object) -> list[Node]:
    """The objects whose constant fields agree with `value`, first those with no field missing.

    All options where none agrees.
    """
    if not isinstance(value, dict):
        return options
    fitting = [
        option
        for option in options
        if "properties" in option
        and all(
            field not in value or value[field] == node["const"]
            for field, node in option["properties"].items()
            if "const" in node
        )
    ]
    whole = [option for option in fitting if set(option.get("required", ())) <= value.keys()]
    near = [option for option in options if set(option.get("required", ())) & value.keys()]
    return whole or near or fitting or options


def _children(option: Node, token: str | int) -> list[Node]:
    if isinstance(token, int):
        fixed = option.get("prefixItems", ())
        child = fixed[token] if token < len(fixed) else option.get("items")
    else:
        pattern = next(iter(option.get("patternProperties", {}).values()), None)
        child = option.get("properties", {}).get(token, pattern or option.get("additionalProperties"))
    return [child] if isinstance(child, dict) else []


def _constants(option: Node) -> Iterator[object]:
    if "const" in option:
        yield option["const"]
    yield from option.get("enum", ())


def _name(place: Place) -> str:
    """How the last field of a place is called in a formula: `crop_size[0]`."""
    name = ""
    for token in place:
        is_number = isinstance(token, int) or token.isdecimal()
        name = f"{name}[{token}]" if is_number else str(token)
    return name or "the document"


def _words(option: Node, name: str) -> str:
    kind = option.get("type")
    if kind == "object":
        return _sized("an object of", option.get("minProperties", 0), option.get("maxProperties"), "entries")
    if kind == "array":
        return _sized("a list of", option.get("minItems", 0), option.get("maxItems"), "items")
    if kind == "string":
        return _string(option)
    if kind in ("integer", "number"):
        bounds = _bounds(option, name)
        if not bounds:
            return _TYPES[kind]
        return f"an integer, {bounds}" if kind == "integer" else bounds
    return _TYPES.get(str(kind), "a value")


def _string(option: Node) -> str:
    text = _sized("a string of", option.get("minLength", 0), option.get("maxLength"), "characters")
    if "pattern" in option:
        text = f"{text} {option.get('x-words') or 'matching ' + option['pattern']}"
    return text


def _sized(what: str, least: int, most: int | None, unit: str) -> str:
    if most is None:
        return f"{what} at least {least} {unit}" if least else what.removesuffix(" of")
    if least == most:
        return f"{what} {most} {unit}" if most != 1 else f"{what} 1 {unit.removesuffix('s')}"
    return f"{what} {least} to {most} {unit}" if least else f"{what} at most {most} {unit}"


def _bounds(option: Node, name: str) -> str:
    lower = next((f"{_number(option[key])} {sign} " for key, sign in _LOWER if key in option), "")
    upper = next((f" {sign} {_number(option[key])}" for key, sign in _UPPER if key in option), "")
    if lower and not upper:
        number, sign, _ = lower.split(" ")
        lower, upper = "", f" {sign.replace('<', '>')} {number}"
    text = f"{lower}{name}{upper}"
    if "multipleOf" in option:
        text = f"{text}, in steps of {_number(option['multipleOf'])}"
    return "" if text == name else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(number: float, noun: str) -> str:
    """For example `1 trial`, `2,000 trials`, `0.5 GPUs`."""
    return f"{number:,.12g} {noun}{'' if number == 1 else 's'}"
