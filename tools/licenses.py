"""Write docs/licenses.md: the license of every installed dependency, as stated in its metadata.

make licenses
"""

from __future__ import annotations

import ast
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licenses.md"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
KNOWN = {
    "BSD License": "BSD", "MIT License": "MIT", "Apache Software License": "Apache-2.0", "OSI Approved": "",
    "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0", "The Unlicense (Unlicense)": "Unlicense",
}  # fmt: skip
SUBSTITUTES = {"opencv-python": "opencv-python-headless"}  # the same package without windows
HEADER = """# Licenses of the dependencies

`make licenses` writes this page from the metadata of the installed packages. fer-lmdb itself is MIT (see LICENSE).
"required" marks direct and transitive dependencies; the other packages are installed only with the named extra.

| package | license | installed with |
|---|---|---|
"""


def main() -> None:
    """Follow the requirements of fer-lmdb and write the table."""
    rows: dict[str, str] = {}
    for group, names in direct().items():
        for name, package in closure(names).items():
            license_name = license_of(package) if package else "not installed when this page was written"
            rows.setdefault(name, f"| {name} | {license_name} | {group} |\n")
    PAGE.write_text(HEADER + "".join(rows[name] for name in sorted(rows)), encoding="utf-8")


def direct() -> dict[str, list[str]]:
    """Return the direct requirements of setup.py by group: "required", and each extra."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("REQUIRED", "OPENCV", "EXTRAS")
    }
    groups = {"required": values["REQUIRED"] + values["OPENCV"], **values["EXTRAS"]}
    return {group: [plain_name(line) for line in lines] for group, lines in groups.items()}


def closure(names: list[str]) -> dict[str, Distribution | None]:
    """Return the installed packages and their requirements; None for a direct requirement that is not installed."""
    found: dict[str, Distribution | None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name if has(name) else SUBSTITUTES.get(name, name))
        except PackageNotFoundError:  # a transitive requirement for another system or Python
            if name in names:
                found[name] = None
            continue
        waiting += [plain_name(line) for line in found[name].requires or () if "extra ==" not in line]
    return found


def has(name: str) -> bool:
    """Whether a package is installed."""
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def plain_name(requirement: str) -> str:
    """Return the normalized package name of a requirement."""
    return re.sub(r"[-_.]+", "-", NAME.match(requirement)[0]).lower()


def license_of(package: Distribution) -> str:
    """Return a short license name: the License-Expression, the classifiers, or the first line of the text."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", ()) if line.startswith("License")]
    names = sorted({KNOWN.get(name, name) for name in classifiers} - {""})
    if names:
        return ", ".join(names)
    text = (metadata.get("License") or "not stated").strip().splitlines()[0].strip()
    return text[:60].replace("|", "/")


if __name__ == "__main__":
    main()
