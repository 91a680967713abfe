"""Outputs drawn at random in a folder of all kinds of files: no byte of a user changes that was not to be replaced."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from fer_lmdb.errors import OutputError
from fer_lmdb.io.atomic import _load_renameat2, atomic_directory, atomic_write_text
from fer_lmdb.io.folder_kinds import DATA_SET, IMAGES, REPORT, RUN
from fer_lmdb.io.images import write_image
from fer_lmdb.io.outputs import OutputGuard

_load_renameat2()  # before the arena forbids to load libraries
TENSORS = {"x": np.zeros(1, np.float32)}
FILES = {
    "data/manifest.json": b'{"format": "fer-lmdb data set 1"}',
    "data/mean.binaryproto": b"mean",
    "data/train_lmdb/data.mdb": b"faces",
    "run/run.json": b'{"options": {}}',
    "run/best.safetensors": save(TENSORS, {"format": "fer-lmdb model 1"}),
    "run/snapshot.safetensors": save(TENSORS, {"format": "fer-lmdb snapshot 1"}),
    "report/report.json": b'{"kind": "run", "files": ["a.png"]}',
    "report/a.png": b"chart",
    "images/train_list.txt": b"/train/3/1.png 3\n",
    "images/aligned/train/3/1.png": b"face",
    "marked/table.csv": b"path,frame,time_s,face\n",
    "marked/model.safetensors": save(TENSORS, {"format": "fer-lmdb model 1"}),
    "marked/net.onnx": b"\x08\x0a\x12\x08fer-lmdb",
    "mine/photo.png": b"a photograph",
    "mine/notes.txt": b"notes",
    "mine/table.csv": b"a,b\n",
    "mine/model.safetensors": save(TENSORS, {"format": "pt"}),
    "mine/manifest.json": b'{"name": "an extension"}',
    "state.safetensors": save(TENSORS, {"format": "fer-lmdb snapshot 1"}),
}
FOREIGN = ("data/photos/me.jpg", "run/notes.txt", "report/letter.txt", "images/aligned/train/3/2.png")
KINDS = {"data": DATA_SET, "run": RUN, "report": REPORT, "images": IMAGES}
OWNED = ("data/", "run/")
NEVER = ("state.safetensors",)


def try_outputs(data: bytes, folder: Path) -> None:
    """Draw a world, inputs and outputs from the bytes; write what the rule allows, and check every file.

    Raises:
        OutputError: If the rule allowed nothing.
        AssertionError: If a file changed that was not to be replaced.
    """
    dice = random.Random(data)
    world = folder / "world"
    shutil.rmtree(world, ignore_errors=True)
    own = _fill(world, dice)
    before, force = _contents(world), dice.random() < 0.5
    names = sorted(before)
    inputs = dice.sample(names, dice.randrange(3))
    kept = {_identity(world / name) for name in inputs}
    if dice.random() < 0.5:
        replaced = _write_files(world, dice, names, inputs, force)
    else:
        replaced = _write_folder(world, dice, inputs, force)
    after = _contents(world)
    for name, content in before.items():
        if name in after and after[name][1] == content[1]:
            continue
        assert replaced is not None, f"{name} changed by a rejected output"
        assert name in replaced or any(name.startswith(f"{each}/") for each in replaced), f"{name} changed"
        assert name not in NEVER and (name not in own or force), f"{name} of a user changed"
        assert content[0] not in kept, f"{name}, an input, changed"
    if replaced is None:
        raise OutputError("rejected")


def _fill(world: Path, dice: random.Random) -> set[str]:
    """Write the files and links, and return the names of a user's files."""
    own = {name for name in FILES if name.startswith("mine/")} | set(FOREIGN)
    for name, content in FILES.items():
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        (world / name).write_bytes(content)
    write_image(world / "marked" / "plot.png", np.zeros((4, 4), np.uint8))
    for name in FOREIGN:
        if dice.random() < 0.3:
            (world / name).parent.mkdir(parents=True, exist_ok=True)
            (world / name).write_bytes(b"precious")
    (world / "hard.png").hardlink_to(world / "mine" / "photo.png")
    (world / "soft.png").symlink_to(world / "mine" / "photo.png")
    (world / "album").symlink_to(world / "mine")
    return own | {"hard.png", "soft.png"}


def _write_files(world: Path, dice: random.Random, names: list[str], inputs: list[str], force: bool) -> set[str] | None:
    guard = OutputGuard([world / name for name in inputs], force=force)
    written: set[str] = set()
    for _ in range(dice.randrange(1, 4)):
        name = dice.choice([*names, "new.csv", "album/photo.png", "album/new.png", "data/new.png", "mine/../soft.png"])
        with suppress(OutputError):
            path = guard.check(world / name)
            atomic_write_text(path, "new")
            real = Path(os.path.realpath(path.parent)) / path.name
            assert str(real) not in written, f"{name} was written twice"
            written.add(str(real))
            assert not name.startswith(OWNED) or name not in FILES, f"{name} belongs to a data set or run"
    return {str(Path(each).relative_to(world.resolve())) for each in written} or None


def _write_folder(world: Path, dice: random.Random, inputs: list[str], force: bool) -> set[str] | None:
    name = dice.choice([*KINDS, "mine", "marked", "new", "album", "data/train_lmdb"])
    kind = KINDS.get(name, DATA_SET) if dice.random() < 0.7 else dice.choice(list(KINDS.values()))
    foreign = [each for each in FOREIGN if each.startswith(f"{name}/") and (world / each).exists()]
    try:
        with atomic_directory(world / name, kind=kind, force=force, inputs=[world / each for each in inputs]) as target:
            (target / "new").write_text("new")
    except OutputError:
        return None
    assert not foreign, f"{foreign[0]} was deleted with {name}"
    assert name in ("new", *KINDS) and (name == "new" or (force and KINDS[name] is kind)), f"{name} was replaced"
    assert not any(each.startswith(f"{name}/") for each in inputs), f"{name} with an input was replaced"
    return {name}


def _contents(world: Path) -> dict[str, tuple[object, bytes]]:
    """Return identity and content of each file, without following links to folders."""
    found = {}
    for root, _, files in os.walk(world):
        for name in files:
            path = Path(root, name)
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[str(path.relative_to(world))] = (_identity(path), content)
    return found


def _identity(path: Path) -> object:
    status = path.stat()
    return status.st_dev, status.st_ino
