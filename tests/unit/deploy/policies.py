"""What NetworkPolicies let through, read from the manifests as Kubernetes would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.unit.deploy.kustomized import Document

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Peer:
    """A pod; of another namespace where `namespace` is given, by that one's labels."""

    labels: Labels
    namespace: Labels | None = None


OUTSIDE = Peer({}, {})  # an address of the internet, or a pod of a namespace that nobody has labelled


class Policies:
    """Who may open a TCP connection to whom: both ends must allow it, and what nothing selects is open."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._all = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]

    def lets(self, source: Peer, target: Peer, port: int) -> bool:
        return self._allows("Egress", source, target, port) and self._allows("Ingress", target, source, port)

    def _allows(self, way: str, pod: Peer, other: Peer, port: int) -> bool:
        if pod.namespace is not None:
            return True  # none of ours
        ours = [
            each
            for each in self._all
            if way in each["policyTypes"] and _fits(each["podSelector"], pod.labels)
        ]
        rules = [rule for each in ours for rule in each.get(way.lower(), [])]
        return not ours or any(_rule_fits(rule, way, other, port) for rule in rules)


def _rule_fits(rule: Document, way: str, other: Peer, port: int) -> bool:
    ports = rule.get("ports", [])
    if ports and not any(each.get("protocol", "TCP") == "TCP" and each["port"] == port for each in ports):
        return False
    peers = rule.get("to" if way == "Egress" else "from")
    return peers is None or any(_peer_fits(each, other) for each in peers)


def _peer_fits(selected: Document, other: Peer) -> bool:
    space = selected.get("namespaceSelector")
    if (space is None) is not (other.namespace is None):
        return False  # a namespaceSelector of these manifests never means their own namespace
    if space is not None and not _fits(space, other.namespace or {}):
        return False
    return _fits(selected.get("podSelector", {}), other.labels)


def _fits(selector: Document, labels: Labels) -> bool:
    wanted: dict[str, Any] = selector.get("matchLabels", {})
    inside = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in inside)
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        labels.get(each["key"]) in each["values"] for each in inside
    )
