"""`python3 licences.py`: each installed distribution, its version and its licence, tab-separated, by name.

The texts themselves lie in site-packages, in each distribution's own .dist-info.
"""

from importlib.metadata import Distribution, distributions


def licence_of(found: Distribution) -> str:
    """As the distribution says it: expression, classifiers, the first line of its field; else `unknown`."""
    metadata = found.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = metadata.get_all("Classifier") or []
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    if named:
        return ", ".join(named)
    words = (metadata.get("License") or "").strip()
    return words.splitlines()[0] if words else "unknown"


def main() -> None:
    """Prints the list."""
    found = {each.metadata["Name"].lower(): each for each in distributions()}
    for name, each in sorted(found.items()):
        print(name, each.version, licence_of(each), sep="\t")


if __name__ == "__main__":
    main()
