"""Specs and sweeps that would cost, reach, run or hide something."""

from __future__ import annotations

import json
from typing import Any

from tests.data_factories import spec_document
from tests.hostile.request import SECRET, Hostile, spec, sweep, text
from tests.own_models import changed

_PRISTINE = json.dumps(spec_document())


def _with(piece: str) -> Any:
    """A right document with a piece more, as no encoder of JSON would write it."""
    return text(_PRISTINE[:-1] + ", " + piece + "}")


def _own(**changes: Any) -> Any:
    return spec(model={"config": changed("segformer", **changes)})


def _folder(**changes: Any) -> Any:
    return spec(dataset={"name": "folder", "root": "/etc", **changes})


MALFORMED: dict[str, Hostile] = {
    "100,000 lists": Hostile(text("[" * 100_000), status=400, told="nested too deeply"),
    "100,000 closed lists": Hostile(
        text("[" * 100_000 + "]" * 100_000), status=400, told="nested too deeply"
    ),
    "100,000 objects": Hostile(
        text('{"a":' * 100_000 + "1" + "}" * 100_000), status=400, told="nested too deeply"
    ),
    "deep in a field": Hostile(
        _with('"tags": ' + "[" * 50_000 + "]" * 50_000), status=400, told="nested too deeply"
    ),
    "a key twice": Hostile(_with('"seed": 1, "seed": 2'), status=400, told="given twice"),
    "a key twice, by an escape": Hostile(_with('"seed": 1, "\\u0073eed": 2'), status=400, told="given twice"),
    "a key twice, deep": Hostile(
        _with('"schedule": {"iterations": 1, "iterations": 2}'), status=400, told="given twice"
    ),
    "NaN": Hostile(_with('"seed": NaN'), status=400, told="NaN is not JSON"),
    "Infinity": Hostile(_with('"seed": -Infinity'), status=400, told="Infinity is not JSON"),
    "10^5000": Hostile(_with('"seed": 1' + "0" * 5000), status=400, told="number is too long"),
    "a million digits": Hostile(text(b"9" * 900_000), status=400, told="number is too long"),
    "a lone surrogate": Hostile(_with('"name": "\\ud800"'), status=400, told="U+D800"),
    "a lone surrogate as a key": Hostile(_with('"\\udcff": 1'), status=400, told="U+DCFF"),
    "NUL": Hostile(_with('"name": "a\\u0000b"'), status=400, told="U+0000"),
    "overlong UTF-8": Hostile(text(b'{"name": "\xc0\xaf"}'), status=400, told="not UTF-8"),
    "UTF-16": Hostile(text(_PRISTINE.encode("utf-16")), status=400, told="not UTF-8"),
    "two documents": Hostile(text(_PRISTINE * 2), status=400, told="not JSON"),
    "a megabyte": Hostile(text(b" " * 1_000_001), status=413, told="1,000,000"),
    "a pickle": Hostile(text(b"\x80\x04\x95cos\nsystem\n(S'id'\ntR."), status=400, told="not UTF-8"),
    "YAML": Hostile(text("!!python/object/apply:os.system ['id']"), status=400, told="not JSON"),
}

VALUES: dict[str, Hostile] = {
    "1e400": Hostile(
        _with('"schedule": {"learning_rate": 1e400}'), pointer="/schedule/learning_rate", told="finite"
    ),
    "-1e400 as a tag": Hostile(_with('"tags": {"a": -1e400}'), pointer="/tags/a"),
    "10^4000": Hostile(spec(seed=10**4000), pointer="/seed"),
    "10^300 iterations": Hostile(spec(schedule={"iterations": 10**300}), pointer="/schedule/iterations"),
    "1e308": Hostile(spec(schedule={"learning_rate": 1e308}), pointer="/schedule/learning_rate"),
    "a billion workers": Hostile(spec(resources={"workers": 10**9}), pointer="/resources/workers"),
    "a crop of 10^9": Hostile(spec(schedule={"crop_size": [10**9, 10**9]}), pointer="/schedule/crop_size/0"),
    "a name of 100,000 letters": Hostile(spec(name="x" * 100_000), pointer="/name"),
    "a name that turns the line": Hostile(spec(name="a\u202eb"), pointer="/name"),
    "a name of two lines": Hostile(spec(name="a\r\nSet-Cookie: a=b"), pointer="/name"),
    "a name for a terminal": Hostile(spec(name="\x1b]0;owned\x07"), pointer="/name"),
    "a field for a terminal": Hostile(spec(**{"\x1b[2J": 1}), pointer="/\\u001b[2J"),
    "a field of 100,000 letters": Hostile(spec(**{"x" * 100_000: 1}), told="x…: is not a field"),
    "__proto__": Hostile(spec(__proto__={"a": 1}), pointer="/__proto__"),
    "__class__": Hostile(spec(__class__="os.system"), pointer="/__class__"),
    "10,000 fields": Hostile(spec(**{f"f{k}": k for k in range(10_000)}), pointer="/f0"),
    "10,000 tags": Hostile(spec(tags={f"t{k}": "v" for k in range(10_000)}), pointer="/tags"),
    "a tag of 100,000 letters": Hostile(spec(tags={"a": "v" * 100_000}), pointer="/tags/a"),
    "a tag of two lines": Hostile(spec(tags={"a\r\nb": "v"}), pointer="/tags/a\\u000d\\u000ab"),
    "a secret as a field": Hostile(spec(password=SECRET), pointer="/password"),
    "a secret in a name": Hostile(spec(name=f"{SECRET}\n"), pointer="/name"),
}

PLACES: dict[str, Hostile] = {
    "/etc": Hostile(_folder(), pointer="/dataset/root"),
    "upwards": Hostile(_folder(root="../../../etc"), pointer="/dataset/root"),
    "upwards in a root by name": Hostile(_folder(root="data:../../etc"), pointer="/dataset/root"),
    "a file's URL": Hostile(_folder(root="file:///etc"), pointer="/dataset/root"),
    "a home": Hostile(_folder(root="~root"), pointer="/dataset/root"),
    "a variable": Hostile(_folder(root="$HOME"), pointer="/dataset/root"),
    "the processes": Hostile(_folder(root="/proc/self/environ"), pointer="/dataset/root"),
    "a path of 100,000 letters": Hostile(_folder(root="/" + "a" * 100_000), pointer="/dataset/root"),
    "upwards in a split": Hostile(_folder(train_split="../../etc"), pointer="/dataset/train_split"),
    "weights upwards": Hostile(
        spec(model={"name": "small", "pretrained": "../../../etc/passwd"}), pointer="/model/pretrained"
    ),
    "weights from the net": Hostile(
        spec(model={"name": "small", "pretrained": "http://192.0.2.1/x.pth"}), pointer="/model/pretrained"
    ),
}

CONFIG: dict[str, Hostile] = {
    "a model called _base_": Hostile(spec(model="_base_"), pointer="/model"),
    "a model by its file": Hostile(spec(model="../../configs/x.py"), pointer="/model"),
    "a template as a model": Hostile(spec(model="{{ fileDirname }}"), pointer="/model"),
    "a template as a method": Hostile(spec(method="{{ 7*7 }}"), pointer="/method"),
    "a class as a method": Hostile(spec(method={"kind": "os.system"}), pointer="/method/kind"),
    "_base_": Hostile(spec(_base_="/etc/passwd"), pointer="/_base_"),
    "_delete_": Hostile(spec(schedule={"_delete_": True}), pointer="/schedule/_delete_"),
    "custom_imports": Hostile(spec(custom_imports={"imports": ["os"]}), pointer="/custom_imports"),
    "custom_imports of a model": Hostile(
        _own(custom_imports={"imports": ["os"]}), pointer="/model/config/custom_imports"
    ),
    "_base_ of a model": Hostile(_own(_base_=["/etc/x.py"]), pointer="/model/config/_base_"),
    "a function as a type": Hostile(_own(backbone__type="os.system"), pointer="/model/config/backbone/type"),
    "weights of a model from a file": Hostile(
        _own(backbone__init_cfg={"type": "Pretrained", "checkpoint": "/etc/passwd"}),
        pointer="/model/config/backbone/init_cfg",
    ),
}

_AXIS = {"pointer": "/method/lambda", "grid": [0.1]}
_THOUSAND = [k / 1000 for k in range(1000)]
_REGION = {"base": spec_document(method={"kind": "region_rebalance"})}


def _swept(**changes: Any) -> Any:
    return sweep(**{**_REGION, **changes})


SWEEPS: dict[str, Hostile] = {
    "a million trials": Hostile(
        _swept(axes=[{"pointer": "/method/lambda", "grid": _THOUSAND}], seeds=list(range(1000))),
        path="/sweeps",
    ),
    "10^12 trials": Hostile(
        _swept(
            axes=[
                {"pointer": "/method/lambda", "grid": _THOUSAND},
                {"pointer": "/schedule/learning_rate", "grid": _THOUSAND[1:]},
            ],
            seeds=list(range(1000)),
        ),
        path="/sweeps",
    ),
    "a hundred thousand seeds": Hostile(_swept(seeds=list(range(100_000))), path="/sweeps", pointer="/seeds"),
    "an axis over an attribute": Hostile(
        _swept(axes=[{**_AXIS, "pointer": "/__class__"}]), path="/sweeps", pointer="/axes/0/pointer"
    ),
    "an axis upwards": Hostile(
        _swept(axes=[{**_AXIS, "pointer": "/../../seed"}]), path="/sweeps", pointer="/axes/0/pointer"
    ),
    "an axis over data": Hostile(
        _swept(axes=[{"pointer": "/dataset", "grid": [{"name": "folder", "root": "/etc"}]}]), path="/sweeps"
    ),
    "a variant for a table": Hostile(
        _swept(axes=[], variants={"a\r\n| b |": {"kind": "baseline"}}), path="/sweeps"
    ),
    "deep in its base": Hostile(
        text('{"base": ' * 50_000 + "1" + "}" * 50_000), path="/sweeps", status=400, told="nested"
    ),
    "1e400 in its grid": Hostile(
        text(json.dumps({**_REGION, "axes": [_AXIS], "seeds": [0]}).replace("0.1", "1e400")),
        path="/sweeps",
        pointer="/axes/0/grid/0",
    ),
}
