"""Every command line in the documentation is one that the program understands."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from fer_lmdb.cli import COMMANDS, cli
from fer_lmdb.cli.command import Command

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
)
WRITER = runpy.run_path(str(ROOT / "tools" / "write_docs.py"))
#: Where a shell begins another command.
_ENDS = {"|", "||", "&&", ";", "&", ")", ">", ">>", "2>", "<"}


class Line(NamedTuple):
    """A command in a page.

    Attributes:
        place: page and line.
        words: what follows ``fer-lmdb``.
        is_mention: in running text, where a command may be named without its arguments.
    """

    place: str
    words: list[str]
    is_mention: bool


def lines_of(page: Path) -> Iterator[Line]:
    """Yield every ``fer-lmdb`` command of a page, in code blocks and in running text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        place = f"{page}:{number}"
        is_code = bool(re.match(r"\s*(\$ )?([A-Z_]+=\S+ )*(fer-lmdb |[^|\s].*\| fer-lmdb |eval .*fer-lmdb )", line))
        if is_code:
            yield from (Line(place, words, False) for words in split(line))
        else:
            for span in re.findall(r"`((?:[A-Z_]+=\S+ )*fer-lmdb [^`]+)`", line):
                yield from (Line(place, words, True) for words in split(span))


def split(line: str) -> Iterator[list[str]]:
    """Yield the words after each ``fer-lmdb`` of a shell's line, up to the next pipe, redirection or comment."""
    lexer = shlex.shlex(line.replace("$(", " "), posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words = list(lexer)
    while "fer-lmdb" in words:
        words = words[words.index("fer-lmdb") + 1 :]
        end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
        yield words[:end]


def check(words: list[str], is_mention: bool = False) -> None:
    """Parse a line as the program would, without running it."""
    context = click.Context(cli, info_name="fer-lmdb", help_option_names=["-h", "--help"])
    while words and words[0] in ("-q", "-v", "-vv", "--quiet", "--verbose"):
        words = words[1:]
    if not words or words[0] in ("--help", "--version", "-h", "COMMAND", "..."):
        return
    name, command, rest = cli.resolve_command(context, words)
    assert command is not None
    try:
        command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:  # --help
        pass
    except click.MissingParameter:
        if not is_mention:
            raise


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_in_the_documentation_parses(page, capsys):
    wrong = []
    for line in lines_of(page):
        try:
            check(line.words, line.is_mention)
        except click.UsageError as error:
            wrong.append(f"{line.place}: fer-lmdb {' '.join(line.words)}: {error.format_message()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_in_the_help_parses(name):
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, Command)
    lines = [words for line in command.examples for words in split(line) if not line.startswith("#")]
    assert lines
    for words in lines:
        check(words)


def test_every_command_stands_in_the_tutorial_or_a_how_to():
    named = {
        line.words[0] for page in PAGES if page.name not in ("reference.md", "migration.md") for line in lines_of(page)
    }
    assert set(COMMANDS) <= named


def test_a_command_that_does_not_parse_is_noticed():
    (words,) = split("$ fer-lmdb train --epoch 3 | tee log  # three epochs")
    assert words == ["train", "--epoch", "3"]
    with pytest.raises(click.UsageError, match="No such option"):
        check(words)
    with pytest.raises(click.UsageError, match="Missing"):
        check(["evaluate"])
    check(["evaluate"], is_mention=True)


@pytest.mark.parametrize("name", WRITER["PAGES"])
def test_a_generated_page_is_current(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == WRITER["PAGES"][name](), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_the_documentation_links_to_is_there(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [target for target in targets if "://" not in target and not (ROOT / page.parent / target).exists()]
    assert not missing


def test_every_image_is_shown_somewhere_and_asks_nothing_of_the_network():
    shown = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    for image in (ROOT / "docs" / "images").iterdir():
        assert image.name in shown, image.name
        if image.suffix == ".svg":
            assert not re.search(r"(?:href|src|url)\W{1,3}https?:", image.read_text(encoding="utf-8"))
