"""docker-compose.yml as it is written: secrets, what is published, and how far each container is shut in."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.paths import ROOT

_OWN = re.compile(r"\$\{REBALANCE_IMAGES:-region-rebalance\}/[a-z]+:\$\{REBALANCE_TAG:-latest\}")
_PINNED = re.compile(r"[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}")
_SECRET_FILE = re.compile(r"\$\{REBALANCE_SECRETS:\?[^}]+\}/(\w+)")
_SECRET_WORDS = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY|CREDENTIALS")
# Names of variables with such a word whose value is no secret.
_NO_SECRET = re.compile(r"_(FILE|PATH|LATER)$")


def _read(name: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


COMPOSE = _read("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if "profiles" not in service]


@pytest.mark.parametrize("name", sorted(COMPOSE["secrets"]))
def test_a_secret_is_a_file_that_has_no_default(name: str) -> None:
    """Compose ends with a word about `make secrets` where the directory is not named."""
    named = _SECRET_FILE.fullmatch(COMPOSE["secrets"][name]["file"])
    assert named is not None
    assert named[1] == name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_variable_and_no_command_holds_a_secret(name: str) -> None:
    """What has a secret's name is the name of a file: `docker inspect` shows variables and commands."""
    service = SERVICES[name]
    suspicious = [
        variable
        for variable in service.get("environment", {})
        if _SECRET_WORDS.search(variable) and not _NO_SECRET.search(variable)
    ]
    allowed = {"RAY_AUTH_MODE", "AWS_SHARED_CREDENTIALS_FILE"}
    assert set(suspicious) <= allowed
    assert not re.search(r"\$\{?[A-Z_]*(PASSWORD|TOKEN|SECRET)", str(service))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_can_change_nothing_but_its_volumes(name: str) -> None:
    """Non-root, read-only, without capabilities, limited in memory, processors and processes, and reaped."""
    service = SERVICES[name]
    uid, _, gid = service["user"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["init"] is True
    assert "privileged" not in service
    assert all(limit in service for limit in ("mem_limit", "cpus", "pids_limit"))
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(LASTING))
def test_what_lasts_is_looked_after(name: str) -> None:
    """A health check, a restart, and time to stop."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_the_start_waits_for_conditions(name: str) -> None:
    """Each dependency names one, and no other than a service that there is."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] == "service_healthy"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_an_image_is_ours_or_pinned_by_digest(name: str) -> None:
    """A tag can be moved, a digest cannot."""
    image = SERVICES[name]["image"]
    assert _OWN.fullmatch(image) or _PINNED.fullmatch(image)


def test_only_the_proxy_is_published_and_on_loopback() -> None:
    """Unless REBALANCE_BIND says otherwise."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["proxy"]
    assert all(port.startswith("${REBALANCE_BIND:-127.0.0.1}:") for port in published["proxy"])


def test_only_the_proxy_and_the_tools_have_a_way_out() -> None:
    """Every other network is internal."""
    open_networks = {name for name, how in COMPOSE["networks"].items() if not how.get("internal")}
    assert open_networks == {"front"}
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {
        "proxy",
        "tools",
    }


@pytest.mark.parametrize(
    ("network", "members"),
    [
        ("database", {"postgres", "service", "mlflow"}),
        ("artifacts", {"s3", "mlflow"}),
        ("cluster", {"ray-head", "ray-worker", "mlflow", "service"}),
        ("web", {"proxy", "service", "mlflow"}),
    ],
)
def test_a_network_has_who_needs_it(network: str, members: set[str]) -> None:
    """Jobs, which run what people ask for, reach neither the database nor the store."""
    assert {name for name, service in SERVICES.items() if network in service["networks"]} == members


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_data_are_mounted_read_only(name: str) -> None:
    """Nothing that runs can change a data set."""
    data = [volume for volume in SERVICES[name].get("volumes", []) if ":/data" in volume and "DATA" in volume]
    assert all(volume.endswith(":ro") for volume in data)


def test_every_variable_of_the_compose_files_is_in_the_example() -> None:
    """What can be set is said in .env.example, and what is said there is read."""
    files = ("docker-compose.yml", "deploy/compose.gpu.yml", "deploy/compose.tls.yml")
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    read = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", text))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    assert named == read


def test_the_example_has_no_secret() -> None:
    """Only where they lie is asked for, and that is empty."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["REBALANCE_SECRETS="]


def test_overlays_change_services_that_there_are() -> None:
    """A renamed service would leave an overlay with half a service of its own."""
    for name in (
        "deploy/compose.gpu.yml",
        "deploy/compose.tls.yml",
        "tests/deploy/containers/compose.local.yml",
    ):
        assert set(_read(name)["services"]) <= set(SERVICES)


def test_local_builds_replace_third_party_images_and_nothing_else() -> None:
    """What `make deploy-test` proves is the shipped file."""
    local = _read("tests/deploy/containers/compose.local.yml")["services"]
    foreign = {name for name, service in SERVICES.items() if not _OWN.fullmatch(service["image"])}
    assert set(local) == foreign
    assert all(set(service) == {"image"} for service in local.values())
    assert all(service["image"].startswith("local/") for service in local.values())


@pytest.mark.parametrize("name", ["service", "trainer", "mlflow"])
def test_a_dockerfile_asks_one_registry_at_most(name: str) -> None:
    """The base image is an argument with a digest; there is no syntax line; the user is not root."""
    text = (ROOT / f"deploy/Dockerfile.{name}").read_text(encoding="utf-8")
    base = re.search(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    assert base is not None
    assert _PINNED.fullmatch(base[1])
    froms = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert froms <= {"${BASE_IMAGE}", "python"}
    assert not text.startswith("# syntax=")
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
