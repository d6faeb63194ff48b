"""The rules of docs/ARCHITECTURE.md: the import contracts, and what imports cannot express."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.shared.schemas import ProblemDetail
from tests.paths import ROOT
from trainer.base import errors
from trainer.base.errors import Problem, RegionRebalanceError

PACKAGES = ("trainer", "sweeps", "service")
CONTRACTS = tomllib.loads((ROOT / "importlinter.toml").read_text())["tool"]["importlinter"]["contracts"]
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
TEXT_SUFFIXES = {"", ".md", ".py", ".sh", ".toml", ".yml", ".yaml", ".json", ".txt", ".ini", ".mako"}

# For each contract: a module of a throw-away tree, and the one line in it that the contract must refuse.
BREAKERS = {
    "rooms": ("trainer/spec/spec.py", "import service.shared.states"),
    "no-cycles": ("trainer/losses/dice.py", "import trainer.losses.pixels"),
    "light": ("service/store/experiments.py", "import torch"),
    "inputs-without-ray": ("sweeps/document/spec.py", "import ray"),
    "losses-import-torch-only": ("trainer/losses/dice.py", "import numpy"),
    "training-libraries": ("trainer/data/splits.py", "import torch"),
    "ray": ("service/reconcile/reconciler.py", "import ray"),
    "workers-call-nobody": ("trainer/run/worker.py", "import httpx"),
    "sql-behind-the-store": ("service/api/routes/experiments.py", "import sqlalchemy"),
    "http-at-the-edge": ("service/store/experiments.py", "import fastapi"),
    "charts-in-figures": ("trainer/results/compare.py", "import altair"),
    "processes-behind-one-file": ("service/reconcile/reconciler.py", "import psutil"),
}
ROOMS = next(contract for contract in CONTRACTS if contract["id"] == "rooms")
FOLDERS = [name.strip(" ()") for layer in ROOMS["layers"] for name in layer.split("|")]
SKELETON = {
    **{f"{package}/__init__.py": "" for package in PACKAGES},
    **{f"{name.replace('.', '/')}/__init__.py": "" for name in FOLDERS},
    "service/api/routes/__init__.py": "",
    **{path: "" for path, _ in BREAKERS.values()},
    "service/shared/states.py": "",
    "trainer/losses/pixels.py": "import trainer.losses.dice",
}
# Runs in a process of its own, where our packages are not imported yet: one line of JSON for each case.
PROBE = """
import contextlib, importlib, io, json, sys
from importlinter.cli import lint_imports
for case in json.load(sys.stdin):
    sys.path.insert(0, case["root"])
    importlib.invalidate_caches()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = lint_imports(
            case["config"], limit_to_contracts=tuple(case["contracts"]), no_cache=True, no_logo=True
        )
    sys.path.pop(0)
    print(json.dumps({"name": case["name"], "code": code, "output": out.getvalue()}), flush=True)
"""


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def run_probe(cases: list[dict[str, Any]], cwd: Path) -> dict[str, tuple[int, str]]:
    """(exit code, output) of lint-imports by case name."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(cases),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {answer["name"]: (answer["code"], answer["output"]) for answer in answers}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Every contract on a tree that breaks it, and all of them on the clean tree."""
    base = tmp_path_factory.mktemp("contracts")
    plant(base / "clean", SKELETON)
    config = str(ROOT / "importlinter.toml")
    cases = [{"name": "clean", "root": str(base / "clean"), "config": config, "contracts": []}]
    for contract, (path, line) in BREAKERS.items():
        plant(base / contract, {**SKELETON, path: line})
        cases.append(
            {"name": contract, "root": str(base / contract), "config": config, "contracts": [contract]}
        )
    return run_probe(cases, base)


def test_our_imports_keep_every_contract() -> None:
    """The tree as it is breaks no import contract."""
    case = {"name": "ours", "root": str(ROOT), "config": str(ROOT / "importlinter.toml"), "contracts": []}
    code, output = run_probe([case], ROOT)["ours"]
    assert code == 0, output


def test_every_contract_is_broken_once() -> None:
    """Each contract has a case below that breaks it: none is there for show."""
    assert sorted(BREAKERS) == sorted(contract["id"] for contract in CONTRACTS)


def test_clean_tree_keeps_every_contract(probed: dict[str, tuple[int, str]]) -> None:
    """The throw-away tree without the offending line passes, so that line is what the next test finds."""
    code, output = probed["clean"]
    assert code == 0, output


def test_every_folder_has_its_place() -> None:
    """Each folder and file directly in a package stands in the order of the rooms."""
    found = {
        f"{package}.{path.stem}"
        for package in PACKAGES
        for path in (ROOT / package).iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or path.suffix == ".py"
    }
    assert found - {f"{package}.__init__" for package in PACKAGES} == set(FOLDERS)


def test_rooms_are_not_crowded() -> None:
    """A folder has one purpose and at most some 16 files; the losses, one file each, are the exception."""
    crowded = {
        str(folder.relative_to(ROOT)): count
        for folder in {path.parent for path in sources()}
        if folder.name != "losses" and (count := len(list(folder.glob("*.py")))) > 17
    }
    assert not crowded


@pytest.mark.parametrize("contract", sorted(BREAKERS))
def test_contract_is_enforced(contract: str, probed: dict[str, tuple[int, str]]) -> None:
    """One offending line or file breaks the contract, and the message names it."""
    code, output = probed[contract]
    assert code == 1, output
    assert BREAKERS[contract][0].removesuffix(".py").replace("/", ".").rpartition(".")[2] in output


def imported_roots(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_losses_import_torch_and_stdlib_only() -> None:
    """A loss depends on torch, the standard library and its sister files; everything else is refused."""
    allowed = sys.stdlib_module_names | {"torch"}
    strangers = {
        f"{path.name}: {name}"
        for path in (ROOT / "trainer/losses").glob("*.py")
        for name in imported_roots(ast.parse(path.read_text()))
        if name.split(".")[0] not in allowed and not name.startswith("trainer.losses")
    }
    assert not strangers


def mentions_method_class(node: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id in names)
        or (isinstance(part, ast.Attribute) and part.attr in names)
        for part in ast.walk(node)
    )


def chooses_by_method(tree: ast.AST, classes: set[str], kinds: set[str]) -> list[int]:
    """Lines that branch on a method: match on its class, isinstance, or a comparison of `.kind`."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.MatchClass) and mentions_method_class(node.cls, classes):
            lines.append(node.cls.lineno)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            if mentions_method_class(node.args[1], classes):
                lines.append(node.lineno)
        elif isinstance(node, ast.Compare | ast.MatchValue):
            texts = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            if texts & kinds:
                lines.append(node.lineno)
    return lines


def test_only_criterion_chooses_by_method_kind() -> None:
    """Adding a method means one new case in criterion.py and no other branch anywhere."""
    from trainer.spec.methods import METHODS

    classes = {cls.__name__ for cls in METHODS.values()}
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if path != ROOT / "trainer/criterion.py"
        and (lines := chooses_by_method(ast.parse(path.read_text()), classes, set(METHODS)))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "if method.kind == 'baseline': pass",
        "isinstance(method, RegionRebalance)",
        "match method:\n    case Dice(): pass",
        "match method.kind:\n    case 'dice': pass",
    ],
)
def test_choosing_by_method_is_seen(line: str) -> None:
    """The check above is not blind: each way of branching on a method is found."""
    assert chooses_by_method(ast.parse(line), {"RegionRebalance", "Dice"}, {"baseline", "dice"})


PRIVATE = re.compile(r"_[A-Za-z]\w*")
OURS = {"self", "cls"}
DOCUMENTED = {"_exit", "_asdict", "_fields", "_replace"} | {"_SubParsersAction"}  # the last: argparse's type


def private_uses(tree: ast.AST) -> list[int]:
    """Lines that use a private name of something else: attribute, part of a module, method of a base."""
    lines = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") not in OURS:
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            names = [str(getattr(argument, "value", "")) for argument in node.args[1:2]]
        if any(PRIVATE.fullmatch(name) and name not in DOCUMENTED for name in names):
            lines.append(node.lineno)
    return lines


def test_private_names_of_libraries_are_in_compat_files() -> None:
    """What a library may move without a word is used in its room's compat file alone, which a test holds."""
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if not path.stem.endswith("_compat") and (lines := private_uses(ast.parse(path.read_text())))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "runner._train_loop",
        "from ray.train.v2._internal import x",
        "from ray.tune.schedulers.hyperband import _Bracket",
        "import ray._private.node",
        "getattr(loader, '_iterator', None)",
        "super()._do_request()",
    ],
)
def test_private_uses_are_seen(line: str) -> None:
    """The check above is not blind: each way of using a private name is found."""
    assert private_uses(ast.parse(line)) == [1]


def test_files_and_functions_stay_small() -> None:
    """No file above 300 lines, no function above 60; docs/STYLE.md aims at 250 and 40."""
    too_long = []
    for path in sources():
        text = path.read_text()
        if text.count("\n") > MAX_FILE_LINES:
            too_long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path.parent.name != "versions":
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines")
    assert not too_long


# Where files are a person's or this machine's own, not shared storage's.
OWN_FILES = (
    "trainer/storage",
    "trainer/base",
    "trainer/data",
    "trainer/mmseg_adapter/export",  # in a folder that is handed over
    "trainer/mmseg_adapter/shipped",  # mmseg's, as installed
    "trainer/count.py",
    "trainer/weights",
    "trainer/mmseg_adapter/shipped",
    "service/local",
    "service/scheduling/policy.py",  # an administrator's file
    "service/cli",
)
OF_A_PATH = {"mkdir", "glob", "rglob", "iterdir", "unlink", "touch", "write_text", "write_bytes", "rename"}


def files_by_hand(tree: ast.AST) -> list[int]:
    """Lines that open, make, list or remove a file by its path."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in OF_A_PATH or (node.func.attr == "open" and _has_mode(node)))
    ]


def _has_mode(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(isinstance(each, ast.Constant) and str(each.value)[:1] in "rwax" for each in given)


def test_shared_storage_is_behind_its_port() -> None:
    """Nobody but trainer/storage opens, makes, lists or removes files of the storage by their paths."""
    allowed = {
        "service/shared/endpoints.py",  # of the data directory
        "service/migrations/backup.py",  # a file that is handed over
        "service/scheduling/policy.py",  # the operator's file
        "service/store/engine.py",  # SQLite's file
        "service/store/leadership.py",  # the lock beside it
        "trainer/followups/task.py",  # in a folder that is handed over
        "trainer/same/code.py",  # its own package
        "trainer/tracking/run_log.py",  # a scratch directory
    }
    found = {
        name: lines
        for path in sources()
        if not (name := str(path.relative_to(ROOT))).startswith(OWN_FILES)
        and name not in allowed
        and (lines := files_by_hand(ast.parse(path.read_text())))
    }
    assert not found


@pytest.mark.parametrize("line", ["path.mkdir()", "path.open('rb')", "path.open(mode='w')", "x.glob('*')"])
def test_a_file_opened_by_hand_is_seen(line: str) -> None:
    """The check above is not blind."""
    assert files_by_hand(ast.parse(line)) == [1]


def error_classes() -> list[type[RegionRebalanceError]]:
    """Every error of the tree, wherever it is defined; found by reading, so nothing heavy is imported."""
    names = {
        (module_name(path), node.name)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any(is_error_base(base) for base in node.bases)
    }
    light = [(module, name) for module, name in sorted(names) if "mmseg_adapter" not in module]
    return [getattr(importlib.import_module(module), name) for module, name in light]


def is_error_base(base: ast.expr) -> bool:
    name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
    return name.endswith(("Error", "Exception")) or hasattr(errors, name)


# Arguments of constructors, by name or else by type; a text for all others.
EXAMPLES: dict[str, Any] = {
    "problems": (Problem("/seed", "-1", ">= 0"),),
    "problem": ProblemDetail(title="Conflict", status=409, detail="has ended"),
    "int": 3,
    "float": float("inf"),
    "Path": Path("file"),
    "Mapping[str, float]": {"loss": 0.5},
    "tuple[str, ...]": ("picture.png",),
}


def example_of(cls: type[Exception]) -> Exception:
    """An instance, its arguments made up from the names and annotations of `__init__`."""
    if "__init__" not in vars(cls):
        own = [base for base in cls.__mro__ if "__init__" in vars(base) and base.__module__ != "builtins"]
        if not own:
            return cls("message")
    values = []
    for parameter in list(inspect.signature(cls).parameters.values()):
        annotation = str(parameter.annotation).split("|")[0].strip()
        values.append(EXAMPLES.get(parameter.name, EXAMPLES.get(annotation, "text")))
    return cls(*values)


@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__name__)
def test_errors_survive_pickling(cls: type[Exception]) -> None:
    """An error comes out of pickle with its class, text and attributes: a cause must cross processes."""
    error = example_of(cls)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_documents_name_no_private_path() -> None:
    """Nothing in the repository names a directory of one machine, or data that a reader does not have."""
    names = (
        "README.md",
        "CONTRIBUTING.md",
        "Makefile",
        "pyproject.toml",
        "importlinter.toml",
        "constraints.txt",
    )
    folders = ("docs", "scripts", "deploy", ".ci", "benchmarks", *PACKAGES)
    paths = [ROOT / name for name in names]
    for folder in folders:
        paths += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in TEXT_SUFFIXES and path.is_file() and path.name != ".env"  # somebody's own
        ]
    private = re.compile(r"(?<![\w.])/(home|root|Users|work)/|\.\./" + "shared")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if private.search(line)
    ]
    assert not found
