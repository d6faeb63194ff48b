"""`rebalance recipes`, `rebalance models --search` and `rebalance submit --validate-only`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import main
from tests.data_factories import spec_document
from tests.unit.service.served import Service
from trainer.base.ends import ExitCode
from trainer.spec.recipe_document import recipe_document
from trainer.spec.recipes import recipes

ROW = "table3/upernet_swin_b"
NOBODY = "http://127.0.0.1:9"


def said(words: list[str], capsys: pytest.CaptureFixture[str], code: int = ExitCode.DONE) -> str:
    assert main(words) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_recipes_need_no_service(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The list and each row, as tables and as the documents of the API."""
    monkeypatch.setenv("REBALANCE_API", NOBODY)
    listed = said(["recipes"], capsys)
    assert all(name in listed for name in recipes())
    items = json.loads(said(["recipes", "--json"], capsys))["items"]
    assert items == json.loads(json.dumps([recipe_document(one) for one in recipes().values()]))
    assert json.loads(said(["recipes", ROW, "--json"], capsys)) in items
    shown = said(["recipes", ROW], capsys)
    for told in ("121.3M parameters", "/schedule/crop_size", "rebalance weights fetch swin_base", "51.2"):
        assert told in shown


def test_an_unknown_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(["recipes", "table3/swin_b"], capsys, ExitCode.BAD_INPUT)
    assert "'table3/swin_b' is not known; near: table3/upernet_swin_b" in told


def test_models_are_searched_without_a_service(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With why one cannot be used; with --json also what of its file is otherwise here."""
    monkeypatch.setenv("REBALANCE_API", NOBODY)
    words = ["models", "--search", "segformer mit-b0 ade20k"]
    shown = said(words, capsys)
    assert "SegformerHead" in shown
    assert "3.8M" in shown
    (item,) = json.loads(said([*words, "--json"], capsys))["items"]
    assert item["untranslated"] == ["batch size: 8 GPUs x 2 of the file's name"]
    assert "no: " in said(["models", "--search", "mask2former"], capsys)
    assert "no configuration of mmsegmentation fits 'nothing'" in said(
        ["models", "--search", "nothing"], capsys
    )


def validated(service: Service, tmp_path: Path, document: dict[str, Any], *more: str) -> list[str]:
    (tmp_path / "spec.json").write_text(json.dumps(document))
    return ["submit", str(tmp_path / "spec.json"), "--validate-only", "--api", service.url, *more]


def test_what_an_experiment_would_be(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 0 where it could be stored now, 2 where something is missing; nothing is stored."""
    shown = said(validated(service, tmp_path, spec_document()), capsys)
    assert "training: unknown: nothing like it has been measured in this storage" in shown
    assert "scored: at the end" in shown
    long = spec_document(schedule={"iterations": 40_000})
    shown = said(validated(service, tmp_path, long), capsys)
    assert "scored: every 4,000 iterations, and at the end" in shown
    row = {"recipe": ROW, "method": "baseline", "resources": {"gpus_per_worker": 0}}
    row["schedule"] = {"iterations": 20}
    shown = said(validated(service, tmp_path, row), capsys, ExitCode.BAD_INPUT)
    assert f"not as {ROW}: iterations 160k → 20" in shown
    assert "parameters: 121,279,716, weights: pretrained" in shown
    assert "not yet: /weights: swin_base_patch4_window7_224_22k is not in the storage" in shown
    document = json.loads(said(validated(service, tmp_path, row, "--json"), capsys, ExitCode.BAD_INPUT))
    assert {each["pointer"] for each in document["problems"]} == {"/dataset/root", "/weights"}
    assert json.loads(said(["list", "--json", "--api", service.url], capsys))["items"] == []
