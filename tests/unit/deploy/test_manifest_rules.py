"""What every manifest of deploy/kuberay keeps to: hardened pods, closed networks, and what compose proves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.unit.deploy.kustomized import KUBERAY, Document, pods, secret_files, the
from tests.unit.deploy.policies import OUTSIDE, Peer, Policies
from trainer.spec.capacity import parse_machines

FOLDERS = ("overlays/cpu", "overlays/gpu", "sweep")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY|DATABASE_URL")
Rendered = Callable[[str], list[Document]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_pods_are_hardened(rendered: Rendered, folder: str) -> None:
    """No root, nothing writable but volumes, no capability, no token of Kubernetes, no part of the host."""
    found = pods(rendered(folder))
    assert found
    for pod in found:
        outer = pod.spec["securityContext"]
        assert (outer["runAsNonRoot"], outer["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert outer["runAsUser"] > 0
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
        assert not [volume for volume in pod.spec["volumes"] if "hostPath" in volume]
        for container in pod.containers:
            assert container["securityContext"] == HARDENED
            assert set(container["resources"]["limits"]) == set(container["resources"]["requests"])
            _refuse_secrets(container)
        for container in pod.spec["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), pod.name


HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def _refuse_secrets(container: Document) -> None:
    """A variable may name a file that holds a secret, and a command may not even that."""
    for each in container.get("env", []):
        if SECRET.search(each["name"]) and each["name"] not in ("REBALANCE_TOKEN_LATER", "RAY_AUTH_MODE"):
            assert each["value"].startswith("/run/secrets/"), each["name"]
    mounted = [each["mountPath"] for each in container["volumeMounts"]]
    named = re.findall(r"/run/secrets/\w+", yaml.safe_dump(container.get("env", [])))
    assert not named or "/run/secrets" in mounted


@pytest.mark.parametrize("folder", FOLDERS)
def test_mounts_have_their_volumes_and_files(rendered: Rendered, folder: str) -> None:
    """Each mount is of a volume of its pod, each claim and Secret is there, each secret's file in it."""
    documents = rendered(folder)
    there = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    for pod in pods(documents):
        templates = {
            claim["metadata"]["name"]
            for each in documents
            if each["metadata"]["name"] == pod.name
            for claim in each.get("spec", {}).get("volumeClaimTemplates", [])
        }
        volumes = {each["name"]: each for each in pod.spec["volumes"]}
        for container in pod.containers:
            assert {each["name"] for each in container["volumeMounts"]} <= set(volumes) | templates
            files = {
                file
                for each in container["volumeMounts"]
                for file in _secrets_in(volumes.get(each["name"]), there)
            }
            named = re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(container))
            assert set(named) <= files, pod.name
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                claim = there["PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]]
                assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def _secrets_in(volume: Document | None, there: dict[tuple[str, str], Document]) -> Iterator[str]:
    """The files that a volume's Secrets become; fails where one is not among the manifests."""
    if volume is None:
        return
    sources = [each["secret"] for each in volume.get("projected", {}).get("sources", []) if "secret" in each]
    sources += [{"name": volume["secret"]["secretName"]}] if "secret" in volume else []
    for source in sources:
        keys = there["Secret", source["name"]]["data"]
        items = source.get("items", [{"key": key, "path": key} for key in keys])
        assert {each["key"] for each in items} <= set(keys)
        yield from (each["path"] for each in items)


def test_no_secret_is_in_the_repository() -> None:
    """Git ignores the files that the Secrets are made of, and knows none of them."""
    directory = f"{KUBERAY}/credentials/secrets"
    files = [f"{directory}/{name}" for name in sorted(secret_files())]
    asked = ["git", "check-ignore", "--no-index", *files]
    ignored = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    assert ignored == files
    known = subprocess.run(
        ["git", "ls-files", directory], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert known.stdout == ""


def test_the_files_of_secrets_are_those_that_are_made(tmp_path: Path) -> None:
    """`sh scripts/secrets.sh deploy/kuberay/credentials` leaves nothing to be made by hand."""
    done = subprocess.run(
        ["sh", ROOT / "scripts/secrets.sh", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tmp_path / "secrets").iterdir()} == secret_files()


def test_the_heads_jobs_have_no_token_of_kubernetes(rendered: Rendered) -> None:
    """The autoscaler beside the head has it; the container in which jobs run does not mount it."""
    cluster = the(rendered("overlays/gpu"), "RayCluster")["spec"]
    (token,) = [
        volume["name"]
        for volume in cluster["headGroupSpec"]["template"]["spec"]["volumes"]
        if "serviceAccountToken" in yaml.safe_dump(volume)
    ]
    assert token in [each["name"] for each in cluster["autoscalerOptions"]["volumeMounts"]]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    assert token not in [each["name"] for each in head["volumeMounts"]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_declared_maximum_is_what_the_autoscaler_may_reach(rendered: Rendered, folder: str) -> None:
    """Workers of all groups together, each with its limits; the head gives none; none while nothing runs."""
    documents = rendered(folder)
    if folder == "sweep":
        job = the(documents, "RayJob")["spec"]
        cluster = job["rayClusterSpec"]
        told = yaml.safe_load(job["runtimeEnvYAML"])["env_vars"]["REBALANCE_MAX_CLUSTER"]
    else:
        cluster = the(documents, "RayCluster")["spec"]
        told = _environment(the(documents, "Deployment", "service"))["REBALANCE_MAX_CLUSTER"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert [group["minReplicas"] for group in cluster["workerGroupSpecs"]] == [0] * len(
        cluster["workerGroupSpecs"]
    )
    gpus = cpus = 0
    for group in cluster["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        cpus += group["maxReplicas"] * int(limits["cpu"])
        gpus += group["maxReplicas"] * int(limits.get("nvidia.com/gpu", 0))
    assert parse_machines(told) == (gpus, cpus)


def _environment(deployment: Document) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


CLIENT = Peer({}, {"region-rebalance/clients": "yes"})
OPERATOR = Peer({"app.kubernetes.io/name": "kuberay-operator"}, {})


def test_networks_are_closed_but_for_what_must_talk(rendered: Rendered) -> None:
    """Each of the pairs below on just these ports, and no other pair on any port that somebody listens on."""
    documents = rendered("overlays/cpu")
    by_name = {pod.name: Peer(pod.labels) for pod in pods(documents)}
    by_name |= {"client": CLIENT, "outside": OUTSIDE}
    policies = Policies(documents)
    ports = (443, 5000, 5432, 6379, 6443, 8000, 8080, 8265, 8333, 10001, 11000, 52365)
    open_ = {
        (source, target): tuple(port for port in ports if policies.lets(one, other, port))
        for source, one in by_name.items()
        for target, other in by_name.items()
    }
    ray = {("ray-head", "ray-cpu"), ("ray-cpu", "ray-head"), ("ray-head", "ray-head"), ("ray-cpu", "ray-cpu")}
    assert {
        pair: found for pair, found in open_.items() if found and not {*pair} <= {"client", "outside"}
    } == {
        **dict.fromkeys(ray, ports),
        ("ray-head", "mlflow"): (5000,),
        ("ray-cpu", "mlflow"): (5000,),
        ("service", "ray-head"): (8265,),
        ("service", "mlflow"): (5000,),
        ("service", "postgres"): (5432,),
        ("mlflow", "postgres"): (5432,),
        ("mlflow", "s3"): (8333,),
        ("client", "service"): (8000,),
        ("client", "mlflow"): (5000,),
        **dict.fromkeys((("ray-head", "outside"), ("ray-head", "client")), (443, 6443)),
        **dict.fromkeys((("service", "outside"), ("service", "client")), (5432,)),
        **dict.fromkeys((("mlflow", "outside"), ("mlflow", "client")), (443, 5432, 8333)),
    }


def test_a_sweeps_head_hears_the_operator_alone(rendered: Rendered) -> None:
    """KubeRay hands the job over by HTTP; nobody else outside Ray reaches the head."""
    documents = rendered("sweep")
    policies = Policies(documents)
    head = next(Peer(pod.labels) for pod in pods(documents) if pod.name == "ray-head")
    assert policies.lets(OPERATOR, head, 8265)
    assert not any(policies.lets(OPERATOR, head, port) for port in (6379, 10001))
    assert not any(policies.lets(other, head, 8265) for other in (CLIENT, OUTSIDE))


def test_services_lead_to_ports_of_their_pods(rendered: Rendered) -> None:
    """Each Service's selector fits one kind of pod, whose container has the port by that name."""
    documents = rendered("overlays/cpu")
    for service in (each for each in documents if each["kind"] == "Service"):
        (chosen,) = [
            pod for pod in pods(documents) if service["spec"]["selector"].items() <= pod.labels.items()
        ]
        named: dict[str, Any] = {
            each["name"]: each["containerPort"] for each in chosen.spec["containers"][0]["ports"]
        }
        for port in service["spec"]["ports"]:
            assert named[port["targetPort"]] == port["port"]
