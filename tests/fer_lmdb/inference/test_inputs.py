"""Input files from paths, folders and patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from fer_lmdb.inference import inputs, left_out
from fer_lmdb.inference.inputs import InputFile, find_files
from fer_lmdb.inference.left_out import LeftOut


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    (folder / "beach" / "deep").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "notes.txt", "beach/c.webp", "beach/deep/clip.mp4", "beach/.thumb.db"):
        (folder / name).write_bytes(b"x")
    return folder


def names(found: list[InputFile], top: Path) -> list[str]:
    return [one.path.relative_to(top).as_posix() for one in found]


def test_a_file_is_used_regardless_of_its_suffix(holiday: Path) -> None:
    (found,) = find_files([str(holiday / "notes.txt")])
    assert found == InputFile(holiday / "notes.txt", Path("notes.txt"))


def test_a_folder_is_searched_recursively_in_order(holiday: Path) -> None:
    found = list(find_files([str(holiday)]))
    assert names(found, holiday) == ["a.PNG", "b.jpg", "beach/c.webp", "beach/deep/clip.mp4"]
    assert [one.relative_path.as_posix() for one in found] == names(found, holiday)
    assert [one.is_video for one in found] == [False, False, False, True]


def test_hidden_files_and_folders_are_ignored(holiday: Path) -> None:
    for name in ("._a.PNG", ".ipynb_checkpoints/a.png", "__MACOSX/a.png", "beach/.AppleDouble/c.webp"):
        (holiday / name).parent.mkdir(exist_ok=True)
        (holiday / name).write_bytes(b"x")
    found = list(find_files([str(holiday)]))
    assert names(found, holiday) == ["a.PNG", "b.jpg", "beach/c.webp", "beach/deep/clip.mp4"]
    named = str(holiday / "._a.PNG")
    assert [one.path for one in find_files([named])] == [Path(named)]


def test_output_folders_are_excluded(holiday: Path) -> None:
    found = list(find_files([str(holiday)], exclude=[holiday / "beach"]))
    assert names(found, holiday) == ["a.PNG", "b.jpg"]
    found = list(find_files([str(holiday / "**" / "*.*")], exclude=[holiday / "beach"]))
    assert names(found, holiday) == ["a.PNG", "b.jpg", "notes.txt"]


def test_only_files_with_the_suffixes_are_found_in_folders(holiday: Path) -> None:
    assert names(list(find_files([str(holiday)], suffixes={".webp"})), holiday) == ["beach/c.webp"]
    (found,) = find_files([str(holiday)], suffixes={".bmp"})
    assert found.error == f"{holiday}: contains no images (.jpg, .png, .webp, ...)"


def test_patterns(holiday: Path) -> None:
    assert names(list(find_files([str(holiday / "*.*")])), holiday) == ["a.PNG", "b.jpg", "notes.txt"]
    assert names(list(find_files([str(holiday / "**" / "*.webp")])), holiday) == ["beach/c.webp"]


def test_a_file_name_with_pattern_characters(tmp_path: Path) -> None:
    (tmp_path / "face[1].jpg").write_bytes(b"x")
    (found,) = find_files([str(tmp_path / "face[1].jpg")])
    assert found.error is None
    assert found.path == tmp_path / "face[1].jpg"


@pytest.mark.parametrize(
    "url", ["https://example.org/face.jpg", "HTTP://x/y.png", "s3://bucket/face.jpg", "file:///a.jpg"]
)
def test_urls_are_rejected(url: str) -> None:
    (found,) = find_files([url])
    assert found.error == f"{url}: is a URL, and URLs are not downloaded; download it first, e.g. with curl -O"


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = list(find_files([str(tmp_path / "empty"), str(tmp_path / "*.jpg")]))
    assert found[0].error == f"{tmp_path}/empty: contains no images (.jpg, .png, .webp, ...) or videos"
    assert found[1].error == f"{tmp_path}/*.jpg: no file matches this pattern"


def test_missing_files_are_reported_when_they_are_read(tmp_path: Path) -> None:
    assert [one.error for one in find_files([str(tmp_path / "gone.jpg"), "a\0b.jpg"])] == [None, None]


def test_a_folder_that_cannot_be_searched_is_reported(holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def deny(path: str) -> object:
        if Path(path).name == "beach":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny)
    found = list(find_files([str(holiday)]))
    assert [one.error for one in found] == [
        None,
        None,
        f"{holiday}/beach: cannot be searched: Permission denied",
    ]


def test_circular_links_are_not_followed(holiday: Path) -> None:
    (holiday / "beach" / "back").symlink_to(holiday)
    assert len(list(find_files([str(holiday)]))) == 4


def test_files_are_found_one_at_a_time(holiday: Path) -> None:
    files = find_files([str(holiday)])
    next(files)
    (holiday / "beach" / "late.jpg").write_bytes(b"x")
    assert "beach/late.jpg" in names(list(files), holiday)


def test_paths_that_are_left_out_are_counted_by_reason(holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (inputs, left_out):
        monkeypatch.setattr(module, "has_heif", lambda: False)
    for name in ("IMG_1.HEIC", "IMG_2.heic", "._b.jpg", "LICENSE", "x.txt", "y.pdf", "00001.MTS", ".hidden/a.jpg"):
        (holiday / name).parent.mkdir(exist_ok=True)
        (holiday / name).write_bytes(b"x")
    (holiday / "back").symlink_to(holiday)
    counts = LeftOut()
    found = list(find_files([str(holiday)], exclude=[holiday / "beach" / "deep"], left_out=counts))
    assert names(found, holiday) == ["00001.MTS", "a.PNG", "b.jpg", "beach/c.webp"]
    assert found[0].is_video
    assert counts.to_lines() == [
        "Left out: 3 hidden; 2 HEIC, which needs: pip install 'fer-lmdb[heif]'; 1 link to a folder; "
        "1 in an output folder; 4 by their suffix (.txt, no suffix, .pdf)."
    ]


def test_counts_agree_with_their_nouns() -> None:
    one, two = LeftOut(), LeftOut()
    for counts in (one, two, two):
        counts.add(left_out.LINKED_FOLDER)
        counts.add(left_out.FIRST_FRAME)
        counts.add_other(Path("a.txt"))
    assert one.to_lines() == [
        "Left out: 1 link to a folder; 1 by its suffix (.txt).",
        "1 animation, of which the first frame was read; name it alone for all frames.",
    ]
    assert two.to_lines() == [
        "Left out: 2 links to folders; 2 by their suffix (.txt).",
        "2 animations, of which the first frame was read; name them alone for all frames.",
    ]


def test_of_animations_in_a_folder_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), (60 * k, 0, 0)) for k in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    counts = LeftOut()
    (found,) = find_files([str(tmp_path)], left_out=counts)
    assert found.kind == "image"
    assert counts.to_lines() == ["1 animation, of which the first frame was read; name it alone for all frames."]
    (named,) = find_files([str(tmp_path / "a.gif")])
    assert named.kind == "animation"


def test_nothing_left_out_gives_no_line(holiday: Path) -> None:
    counts = LeftOut()
    list(find_files([str(holiday / "a.PNG"), str(holiday / "beach" / "*.webp")], left_out=counts))
    assert counts.to_lines() == []
