"""Code, messages and documentation use American spelling and the words of the field.

CONTRIBUTING.md gives the rules. Each pattern is searched in prose and in identifiers; `ALLOWED` lists the exceptions.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".py", ".md", ".proto", ".js", ".j2", ".css", ".toml", ".yml", "Makefile", "Dockerfile", ".ipynb")
_START, _END = r"(?<![a-z])", r"(?![a-z])"

WORDS = {
    "British spelling": (
        r"colours?|coloured|grey(?:scale|s)?|behaviours?|centre[ds]?|licence[ds]?|neighbour\w*|artefacts?"
        r"|catalogues?|analyse[sd]?|favour\w*|labelled|labelling|modelling|cancelled|(?:\w*)(?:normal|recogn|initial|optim"
        r"|quant|serial|organ|synchron|visual|summar|general|minim|maxim|regular)is(?:e[sdr]?|ing|ation|ers|able)"
    ),
    "image": r"pictures?",
    "option": r"wish(?:es|ed)?",
    "again, from scratch": r"anew|afresh",
    "-": r"the very|whoever|whatsoever|nobody|somebody|at hand|shall|by heart",
    "N, every k-th": r"so[ -]many",
    "resume, continue": r"go(?:es)? on|going on|went on",
    "trained on, distilled, student": r"learnt|taught|pupils?|lessons?",
    "near-duplicate": r"twins?",
    "unaligned, aligned": r"as they are(?![ ]\w)|upright",
    "synthetic faces": r"drawn[ _]faces?",
    "preprocessing": r"kinds? of faces?",
    "error, reject": r"refus(?:e[sd]?|ing|als?)",
}
"""What to write instead -> words, in lower case."""

ALLOWED = {
    "tests/test_prose.py": ".*",
    "tests/legacy/.*": ".*",
    "fer_lmdb/renames.py": ".*",
    "docs/migration.md": ".*",
    "tools/moved_modules.json": ".*",
    "CONTRIBUTING.md": r"^  \| ",  # the table of words
    ".*": r"per_picture_normalization|cancelled_caught",  # a field of the schema; anyio's name
    # HTTP API
    r"(fer_lmdb/serve|tests/fer_lmdb/serve|docs/service.md).*": '(not_a|damaged)_picture|"picture"|_cancelled_',
    r"docs/(decisions/0018.*|experiments)\.md|fer_lmdb/(data/sources/synthetic|faces/detectors/haar|io/video)\.py"
    r"|tests/fer_lmdb/io/test_(images|video)\.py": "upright",  # not tilted
    "fer_lmdb/evaluation/ferplus.py": "somebody saw",  # stored in evaluations
    "tests/fer_lmdb/data/sources/test_synthetic.py": "the pupil",  # of an eye
    "tests/fer_lmdb/models/test_model.py": '"facts"',  # a file of version 0.1.0
}
"""Files, as a regular expression -> lines with an exception, as a regular expression."""


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [name for name in listed if name.endswith(SUFFIXES) and "_pb2" not in name and (ROOT / name).is_file()]


def allowed(name: str, line: str) -> bool:
    return any(re.fullmatch(file, name) and re.search(text, line) for file, text in ALLOWED.items())


def hits(text: str, name: str = "page.md") -> Iterator[str]:
    """Yield the lines with a listed word, as a grep would print them."""
    for number, line in enumerate(text.splitlines(), 1):
        for instead, words in WORDS.items():
            for match in re.finditer(f"{_START}(?:{words}){_END}", line, re.IGNORECASE):
                if not allowed(name, line):
                    yield f'{name}:{number}: "{match[0]}", write: {instead}: {line.strip()[:100]}'


def test_no_listed_word_is_used() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    found = [hit for name in files() for hit in hits((ROOT / name).read_text(encoding="utf-8"), name)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text", ["the picture", "to_grey(image)", "READ_PICTURE = 1", "Goes on", "normalised", "neighbour"]
)
def test_a_listed_word_is_found(text: str) -> None:
    assert len(list(hits(text))) == 1


@pytest.mark.parametrize("text", ["an image", "normalized", "depicture", "greylag geese"])
def test_other_words_are_not_found(text: str) -> None:
    assert list(hits(text)) == []
