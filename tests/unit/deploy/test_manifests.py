"""The manifests of deploy/kuberay are schema-valid: KubeRay's definitions and Kubernetes' own, strictly."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.job import main as sweep_job
from tests.paths import ROOT
from tests.unit.deploy.kustomized import (
    KUBERAY,
    NEWEST,
    OLDEST,
    Document,
    Schemas,
    copied,
    render,
    the,
)

FOLDERS = ("overlays/cpu", "overlays/gpu", "sweep")
Rendered = Callable[[str], list[Document]]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_is_schema_valid(
    rendered: Rendered, schemas: Schemas, folder: str, version: str
) -> None:
    """No unknown field, no other type, nothing missing; all in one namespace, none twice."""
    documents = rendered(folder)
    wrong = {each["metadata"]["name"]: schemas.problems(each, version) for each in documents}
    assert {name: told for name, told in wrong.items() if told} == {}
    assert {each["metadata"].get("namespace") for each in documents if each["kind"] != "Namespace"} == {
        "rebalance"
    }
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("folder", ["overlays/cpu", "sweep"])
def test_with_kueue_it_is_what_kueue_admits(
    rendered: Rendered, schemas: Schemas, tmp_path: Path, folder: str
) -> None:
    """The label of a queue, no autoscaling, no cluster of another's; and still schema-valid."""
    root = copied(tmp_path)
    file = root / KUBERAY / folder / "kustomization.yaml"
    told = yaml.safe_load(file.read_text())
    component = "../" * len(Path(folder).parts) + "components/kueue"
    told["components"].insert(0, component)
    file.write_text(yaml.safe_dump(told))
    documents = render(root, folder)
    assert [schemas.problems(each) for each in documents if schemas.problems(each)] == []
    (queued,) = [each for each in documents if each["kind"] in ("RayCluster", "RayJob")]
    assert queued["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "lab"}
    cluster = queued["spec"].get("rayClusterSpec", queued["spec"])
    assert not cluster.get("enableInTreeAutoscaling")
    assert [(each["minReplicas"], each["replicas"]) for each in cluster["workerGroupSpecs"]] == [(4, 4)]


HEAD = ("spec", "headGroupSpec", "template", "spec", "containers", 0)
WORKERS = ("spec", "workerGroupSpecs", 0)
POD = ("spec", "template", "spec")
JOB = ("spec", "rayClusterSpec")


@pytest.mark.parametrize(
    ("folder", "kind", "path", "value", "told"),
    [
        ("overlays/cpu", "RayCluster", ("spec", "enableAutoscaling"), True, "enableAutoscaling"),
        ("overlays/cpu", "RayCluster", (*HEAD, "readyProbe"), {}, "readyProbe"),
        ("overlays/cpu", "RayCluster", (*WORKERS, "maxReplicas"), "8", "is not of type 'integer'"),
        ("overlays/cpu", "RayCluster", ("spec", "authOptions", "mode"), "on", "is not one of"),
        ("overlays/cpu", "RayCluster", (*HEAD, "name"), None, "'name' is a required property"),
        (
            "overlays/cpu",
            "RayCluster",
            ("spec", "headGroupSpec"),
            None,
            "'headGroupSpec' is a required property",
        ),
        ("overlays/cpu", "RayCluster", ("metadata", "label"), {"a": "b"}, "label"),
        ("sweep", "RayJob", ("spec", "entryPoint"), "true", "entryPoint"),
        ("sweep", "RayJob", ("spec", "backoffLimit"), 1.5, "is not of type 'integer'"),
        ("sweep", "RayJob", (*JOB, "workerGroup"), [], "workerGroup"),
        ("sweep", "RayJob", (*JOB, "headGroupSpec", "template"), None, "'template' is a required property"),
        ("overlays/cpu", "Deployment", (*POD, "hostNetworks"), True, "hostNetworks"),
        ("overlays/cpu", "Deployment", ("spec", "replicas"), "2", "is not of type 'integer'"),
        ("overlays/cpu", "Deployment", ("spec", "selector"), None, "'selector' is a required property"),
        ("overlays/cpu", "StatefulSet", (*POD, "containers", 0, "env", 0, "values"), "a", "values"),
        ("overlays/cpu", "NetworkPolicy", ("spec", "ingresses"), [], "ingresses"),
        ("overlays/cpu", "PersistentVolumeClaim", ("spec", "accessModes"), "ReadWriteMany", "is not of type"),
    ],
)
def test_mistakes_are_caught(
    rendered: Rendered, schemas: Schemas, folder: str, kind: str, path: tuple[Any, ...], value: Any, told: str
) -> None:
    """An unknown field, a wrong type, a missing one (`value` None): each is named."""
    document = copy.deepcopy(next(each for each in rendered(folder) if each["kind"] == kind))
    *above, last = path
    place = reduce(lambda found, part: found[part], above, document)
    if value is None:
        del place[last]
    else:
        place[last] = value
    problems = schemas.problems(document)
    assert problems
    assert told in " ".join(problems)


def test_the_sweeps_job_is_one(
    rendered: Rendered, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its command line is read by the program that it names, with the document that is mounted."""
    documents = rendered("sweep")
    spec = tmp_path / "sweep.json"
    spec.write_text(the(documents, "ConfigMap")["data"]["sweep.json"])
    job = the(documents, "RayJob")["spec"]
    variables = yaml.safe_load(job["runtimeEnvYAML"])["env_vars"]
    words = job["entrypoint"].replace("$REBALANCE_MAX_CLUSTER", variables["REBALANCE_MAX_CLUSTER"]).split()
    assert words[:3] == ["python", "-m", "sweeps.job"]
    assert words[words.index("--spec") + 1] == "/etc/rebalance/sweep.json"
    words[words.index("--spec") + 1] = str(spec)
    assert sweep_job([*words[3:], "--storage", str(tmp_path), "--list"]) == 0
    assert "6 trials" in capsys.readouterr().out
    assert json.loads(spec.read_text()) == json.loads((ROOT / KUBERAY / "sweep/sweep.json").read_text())
