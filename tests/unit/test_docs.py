"""What README.md and docs/ show is true: examples are valid, fields are as told, named commands exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from service.cli.main import build_parser
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.data_factories import write_folder
from tests.paths import ROOT
from trainer.spec.augmentation import Augmentation
from trainer.spec.checkpoints import Checkpoints
from trainer.spec.data.datasets import DATASETS
from trainer.spec.evaluation import Evaluation
from trainer.spec.longer.continues import Continues
from trainer.spec.methods import METHODS
from trainer.spec.models import CATALOGUE
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources, Scheduling
from trainer.spec.schedule import Schedule
from trainer.spec.spec import ExperimentSpec, parse_spec

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """(page and line, text) of every fenced block in a language."""
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{page.name}:{line}", match[2]


def shell_lines() -> list[tuple[str, str]]:
    """Every command in a shell block and, in running text, every inline `make …` or `rebalance …`."""
    found = [(where, line) for where, block in blocks("sh") for line in block.splitlines() if line.strip()]
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        found += [(page.name, code) for code in re.findall(r"`([^`\n]+)`", text)]
    return found


def specs() -> Iterator[Any]:
    for where, text in blocks("json"):
        document = json.loads(text)
        if isinstance(document, dict) and "dataset" in document:
            yield pytest.param(document, id=where)
    for where, text in blocks("sh"):
        for body in re.findall(r"-d '(\{.*?\})'", text, re.DOTALL):
            yield pytest.param(json.loads(body), id=where)


def sweeps() -> Iterator[Any]:
    for where, text in blocks("json"):
        document = json.loads(text)
        if isinstance(document, dict) and "base" in document:
            yield pytest.param(document, id=where)


@pytest.mark.parametrize("document", list(specs()))
def test_examples_are_valid_specs(document: Any) -> None:
    """Every JSON example that looks like a spec is one."""
    assert parse_spec(document, _GPUS).dataset.name in DATASETS


def test_there_are_examples() -> None:
    """The test above found the ones we know of: README's curl, its short form, one for each data set."""
    assert len(list(specs())) >= 6


@pytest.mark.parametrize("document", list(sweeps()))
def test_examples_are_valid_sweeps(document: Any) -> None:
    """Every JSON example with a base is a sweep, and its trials are valid specs."""
    assert expand(parse_sweep(document, _GPUS))


def bounds(schema: Mapping[str, Any]) -> str:
    """The allowed values of a field, in the words of docs/spec.md."""
    if "anyOf" in schema:
        return ", or ".join(map(bounds, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    words = {
        "array": array,
        "boolean": lambda _: "`true`, `false`",
        "null": lambda _: "null",
        "object": mapping,
        "string": lambda it: f"text, {it.get('minLength', 0)} to {it['maxLength']} characters",
    }
    return "an object" if "$ref" in schema else words.get(schema["type"], number)(schema)


def array(schema: Mapping[str, Any]) -> str:
    inner = (schema.get("prefixItems") or [schema["items"]])[0]
    some = schema.get("minItems") or f"up to {schema['maxItems']}"
    return f"{some} of: {bounds(inner)}"


def mapping(schema: Mapping[str, Any]) -> str:
    if "minProperties" not in schema:
        return f"up to {schema['maxProperties']} names, each with a text"
    inner = bounds(next(iter(schema["patternProperties"].values()))).removesuffix(", or null")
    return f"{schema['minProperties']} to {schema['maxProperties']} ids, each with: {inner}"


def number(schema: Mapping[str, Any]) -> str:
    kind = {"integer": "integer", "number": "number"}[schema["type"]]
    parts = [
        f"{sign} {schema[key]}"
        for key, sign in (
            ("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"),
            ("multipleOf", "multiple of"),
        )
        if key in schema
    ]  # fmt: skip
    return " ".join([kind, ", ".join(parts)])


def rows_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """(pointer, default, allowed) of the plain fields of a model."""
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        if "$ref" in field or "oneOf" in json.dumps(field) or (not prefix and "$ref" in json.dumps(field)):
            continue
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "required"
        yield f"{prefix}/{name}", default, bounds(field)


_PLAIN = {"/name", "/recipe", "/variant", "/weights", "/seed"}  # fields that are no objects
# What recipes are made for; a cluster without any must be told in the spec.
_GPUS = Machines(gpus=4, cpus=32)


def expected_rows() -> dict[str, list[tuple[str, str, str]]]:
    """The rows of docs/spec.md by heading, from the models themselves."""
    rows = {
        "Experiment": [row for row in rows_of(ExperimentSpec, "") if row[0] in _PLAIN],
        "Schedule": [
            (pointer, default.replace("required", "model's"), allowed)
            for pointer, default, allowed in rows_of(Schedule, "/schedule")
        ],
        "Augmentation": [
            (pointer, "data set's", allowed) for pointer, _, allowed in rows_of(Augmentation, "/augmentation")
        ],
        "Resources": list(rows_of(Resources, "/resources")),
        "Evaluation": list(rows_of(Evaluation, "/evaluation")),
        "Checkpoints": list(rows_of(Checkpoints, "/checkpoints")),
        "Scheduling": list(rows_of(Scheduling, "/scheduling")),
        "Continues": list(rows_of(Continues, "/continues")),
    }
    for name, entry in DATASETS.items():
        rows[f"Data set `{name}`"] = rows_of_choice(entry.parameters, "/dataset", "name")
    for kind, cls in METHODS.items():
        rows[f"Method `{kind}`"] = rows_of_choice(cls, "/method", "kind")
    return rows


def rows_of_choice(model: type[BaseModel], prefix: str, tag: str) -> list[tuple[str, str, str]]:
    return [row for row in rows_of(model, prefix) if row[0] != f"{prefix}/{tag}"]


def documented_rows() -> dict[str, list[tuple[str, str, str]]]:
    sections = re.split(r"^## ", (ROOT / "docs/spec.md").read_text(), flags=re.MULTILINE)[1:]
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for section in sections:
        cells = [
            re.split(r"(?<!\\) \| ", line.strip("| "))
            for line in section.splitlines()
            if line.startswith("| `/")
        ]
        tables[section.splitlines()[0]] = [(row[0].strip("`"), row[1], row[2]) for row in cells]
    return tables


@pytest.mark.parametrize("heading", list(expected_rows()))
def test_fields_are_as_documented(heading: str) -> None:
    """docs/spec.md has each field of this part with the default and the bounds that the code enforces."""
    assert documented_rows()[heading] == expected_rows()[heading]


def test_schedules_are_as_documented() -> None:
    """docs/spec.md has the default schedule of each model, by data set."""
    text = (ROOT / "docs/spec.md").read_text()
    for name, recipe in CATALOGUE.items():
        for dataset, given in recipe.schedules.items():
            shown = json.dumps(given, ensure_ascii=False)
            assert f"| `{name}` | {f'`{dataset}`' if dataset else 'all others'} | `{shown}` |" in text


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_named_make_targets_exist() -> None:
    """`make X` in the docs is a target of the Makefile."""
    named = {
        word
        for _, line in shell_lines()
        for match in re.findall(r"\bmake((?: [A-Z_]+=\S+| [a-z-]+\b)+)", line.split("#")[0])
        for word in match.split()
        if "=" not in word
    }
    assert named
    assert named <= make_targets()


def test_named_cli_commands_exist() -> None:
    """`rebalance X --flag` in the docs is a command of the CLI that has the flag."""
    parser = build_parser()
    (choices,) = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    wrong = []
    for where, line in shell_lines():
        words = shlex.split(line.split(" #")[0].replace("'", ""))
        if words[:1] != ["rebalance"] or len(words) == 1 or words[1] == "…":
            continue
        command = choices.get(words[1])
        if command is not None and words[1] in ("sweep", "token", "weights") and len(words) > 2:
            (actions,) = [each.choices for each in command._actions if isinstance(each.choices, dict)]
            command = actions.get(words[2])
        unknown = [
            word
            for word in words[2:]
            if word.startswith("-") and command is not None and word not in command._option_string_actions
        ]
        if command is None or unknown:
            wrong.append(f"{where}: {line}")
    assert not wrong


def test_every_room_is_described() -> None:
    """docs/ARCHITECTURE.md has a line for every folder and file directly in a package."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    missing = [
        str(path.relative_to(ROOT))
        for package in ("trainer", "sweeps", "service")
        for path in sorted((ROOT / package).iterdir())
        if ((path / "__init__.py").exists() or path.suffix == ".py")
        and path.name != "__init__.py"
        and f"`{path.name}{'/' if path.is_dir() else ''}`" not in text
    ]
    assert not missing


def test_links_lead_somewhere() -> None:
    """Every relative link in the docs points at a file of the repository."""
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


CODE_LINK = re.compile(r"\[`(\w+)`\]\(\.\./([\w/]+\.py)(#\w+)?\)")


def test_code_links() -> None:
    """Each link of docs/method.md with a name leads to the file that defines it, whatever the line."""
    links = CODE_LINK.findall((ROOT / "docs/method.md").read_text())
    assert len(links) > len(METHODS)
    wrong = [
        f"{name} in {path}{line}"
        for name, path, line in links
        if line or not re.search(rf"^(def|class) {name}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert not wrong


def test_every_method_is_explained() -> None:
    """docs/method.md has a row, or for ours a chapter, for each method a spec can name."""
    text = (ROOT / "docs/method.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert rows >= set(METHODS) - {"region_rebalance"}
    assert "\n## Region rebalance\n" in text


def test_the_counting_example_runs(tmp_path: Path) -> None:
    """docs/datasets.md's program counts a folder data set, its paths changed for ones that are here."""
    (text,) = [text for where, text in blocks("python") if "datasets.md" in where and "count(" in text]
    write_folder(tmp_path / "camvid")
    here = {"~/.rebalance/storage": tmp_path / "s", "/data/camvid": tmp_path / "camvid"}
    for there, path in here.items():
        text = text.replace(there, str(path))
    (tmp_path / "program.py").write_text(text.replace('"camvid", Path', '"folder", Path'))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{'")
