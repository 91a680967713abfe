"""What MkDocs does not do by itself: pages outside of docs/, the reference out of the docstrings, no remote scripts.

Pages keep their paths in the repository (docs/tutorial.md, MODEL_CARD.md), so links between them work as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
REMOTE_SCRIPT = re.compile(r"""(["'])https?://(?:unpkg\.com|cdn\.)[^"']*\1""")
LINK = re.compile(r"(?<!!)\[(?P<text>[^][]+)\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^(?: {4}|\s*(`{3,}|~{3,}))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the files that a "*" of the navigation stands for in its place."""
    config.nav = [_expanded(entry) for entry in config.nav]
    return config


def _expanded(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_expanded(each) for each in entry]
    if isinstance(entry, dict):
        return {title: _expanded(below) for title, below in entry.items()}
    if "*" not in entry:
        return entry
    found = sorted(ROOT.glob(entry))
    if not found:
        raise PluginError(f"mkdocs.yml: no file is called {entry}")
    return [{_short_title(page): page.relative_to(ROOT).as_posix()} for page in found]


def _short_title(page: Path) -> str:
    """Return a page's heading without what all of its kind begin with: "Model card: fer_mini" is "fer_mini"."""
    heading = page.read_text(encoding="utf-8").partition("\n")[0]
    return heading.removeprefix("# ").replace("`", "").split(": ")[-1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the theme's files, those of docs/ and the pages of the navigation, by their paths in the repository."""
    docs = Path(config.docs_dir)
    kept = []
    for file in files:
        inside = file.src_dir is not None and Path(file.src_dir) == docs
        kept.append(_file(f"{docs.relative_to(ROOT).as_posix()}/{file.src_uri}", config) if inside else file)
    have = {file.src_uri for file in kept}
    for package in config.extra["api"]:
        kept.append(File.generated(config, f"docs/api/{package}.md", content=reference(package)))
        have.add(f"docs/api/{package}.md")
    kept += [_file(path, config) for path in _paths(config.nav) if path not in have and (ROOT / path).is_file()]
    return Files(kept)


def _file(path: str, config: MkDocsConfig) -> File:
    return File(path, str(ROOT), config.site_dir, config.use_directory_urls)


def _paths(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for below in entry.values() if isinstance(entry, dict) else entry:
            yield from _paths(below)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make plain text of links to files of the repository that are no part of the site, such as LICENSE."""
    here = (ROOT / page.file.src_uri).parent

    def plain(link: re.Match[str]) -> str:
        target = (here / link["target"]).resolve()
        is_source = target.exists() and target.is_relative_to(ROOT)
        in_site = is_source and files.get_file_from_path(target.relative_to(ROOT).as_posix()) is not None
        return link["text"] if is_source and not in_site else link[0]

    lines, fence = [], ""
    for line in markdown.split("\n"):
        if mark := FENCE.match(line):
            if mark[1]:
                fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
            lines.append(line)
        else:
            lines.append(line if fence else LINK.sub(plain, line))
    return "\n".join(lines)


def on_post_build(config: MkDocsConfig) -> None:
    """Empty the addresses of scripts that the theme would fetch for diagrams and old browsers; no page needs them."""
    for script in Path(config.site_dir).rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        if REMOTE_SCRIPT.search(text):
            script.write_text(REMOTE_SCRIPT.sub(r"\1\1", text), encoding="utf-8")


KINDS = ("Classes", "Functions", "Errors", "Messages", "Values", "Modules")
"""The sections of a page of the reference, in their order."""


def reference(package: str) -> str:
    """Return a package's page: its docstring, a table of its public names, and all that their docstrings say.

    Public is what ``__all__`` names; without it, what the package imports from its modules. Nothing is run:
    names that are imported when they are first asked for are found where type checkers find them.
    """
    loader = griffe.GriffeLoader(search_paths=[str(ROOT)])
    module = loader.load(package)
    loader.resolve_aliases(implicit=True)
    names = module.exports or [name for name, home in module.imports.items() if home.startswith(f"{package}.")]
    sections: dict[str, list[griffe.Object]] = {kind: [] for kind in KINDS}
    for name in sorted({str(name) for name in names}, key=str.lower):
        if not name.startswith("_"):
            sections[_kind(module[name])].append(module[name])
    alone = ["members: false", "show_root_heading: false", "show_root_toc_entry: false"]
    text = [f"# {package}", "\n      ".join([f"::: {package}\n    options:", *alone])]
    text.append("Every public name, read from the source. Anything else is internal.")
    for kind, members in sections.items():
        if not members:
            continue
        text.append(f"## {kind}")
        if kind == "Messages":
            text.append("Protocol buffers, as caffe.proto defines them: " + _listed(members) + ".")
            continue
        text.append("\n".join(["| name | what |", "|---|---|", *(_row(package, member) for member in members)]))
        text += [f"::: {package}.{member.name}" for member in members]
    return "\n\n".join(text) + "\n"


def _kind(member: griffe.Object | griffe.Alias) -> str:
    """Return the section in which a public name stands."""
    if member.canonical_path.split(".")[-2].endswith("_pb2"):
        return "Messages"
    if member.is_class:
        lineage = [member, *(base for base in member.mro())]
        bases = {str(base) for each in lineage for base in each.bases}
        return "Errors" if bases & {"Exception", "ValueError", "OSError", "RuntimeError"} else "Classes"
    return {"function": "Functions", "module": "Modules"}.get(member.kind.value, "Values")


def _row(package: str, member: griffe.Object | griffe.Alias) -> str:
    first = member.docstring.value.split("\n\n")[0].replace("\n", " ").replace("|", "\\|") if member.docstring else ""
    return f"| [`{member.name}`][{package}.{member.name}] | {first} |"


def _listed(members: list[griffe.Object]) -> str:
    return ", ".join(f"`{member.name}`" for member in members)
