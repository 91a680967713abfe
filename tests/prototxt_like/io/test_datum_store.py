"""Databases: equal to Caffe's, read back unchanged, and errors in one line if damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prototxt_like.errors import StoreError
from prototxt_like.io import datum_store
from prototxt_like.schema.caffe_schema_pb2 import Datum
from tests.archives import unpack


def faces(count: int, height: int = 5, width: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width), dtype=np.uint8)


def write(
    path: Path, images: np.ndarray, encoding: datum_store.Encoding = "raw", **options: int
) -> datum_store.LmdbWriter:
    with datum_store.LmdbWriter(path, encoding, **options) as writer:
        for number, image in enumerate(images):
            writer.append(f"/train/{number % 3}/{number:05d}.png", image, number % 3)
    return writer


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    for archive in (shared / "golden" / "caffe").glob("img_*_lmdb.tar.xz"):
        unpack(archive, folder)
    return folder


def listed(shared: Path, split: str) -> list[tuple[str, np.ndarray, int]]:
    """Return name, face and label of each line in the image list that was passed to convert_imageset."""
    sheets: dict[int, np.ndarray] = {}
    lines = []
    for line in (shared / "golden" / "caffe" / f"{split}_list.txt").read_text().splitlines():
        name, label = line.split()
        sheet, position = divmod(int(Path(name).stem), 300)
        if sheet not in sheets:
            image = cv2.imread(str(shared / "fer2013" / "pixels" / f"{sheet:03d}.webp"), cv2.IMREAD_GRAYSCALE)
            sheets[sheet] = image.reshape(-1, 48, 48)
        lines.append((name, sheets[sheet][position], int(label)))
    return lines


@pytest.mark.parametrize("split", ["train", "test"])
def test_raw_database_equals_convert_imageset(shared: Path, golden: Path, tmp_path: Path, split: str) -> None:
    with datum_store.LmdbWriter(tmp_path / "db") as writer:
        for name, face, label in listed(shared, split):
            writer.append(name, face, label)
    found = list(datum_store.iterate_values(tmp_path / "db"))
    expected = list(datum_store.iterate_values(golden / f"img_{split}_lmdb"))
    assert found == expected
    assert writer.sha256 == datum_store.digest(golden / f"img_{split}_lmdb")


@pytest.mark.parametrize("split", ["train", "test"])
def test_decoded_png_database_equals_convert_imageset(shared: Path, golden: Path, tmp_path: Path, split: str) -> None:
    with datum_store.LmdbWriter(tmp_path / "db", "png") as writer:
        for name, face, label in listed(shared, split):
            writer.append(name, face, label)
    found, expected = datum_store.read_split(tmp_path / "db"), datum_store.read_split(golden / f"img_{split}_png_lmdb")
    assert found.keys == expected.keys
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)
    found_value, expected_value = (
        Datum.FromString(next(datum_store.iterate_values(path))[1])
        for path in (tmp_path / "db", golden / f"img_{split}_png_lmdb")
    )
    assert [field.name for field, _ in found_value.ListFields()] == [
        field.name for field, _ in expected_value.ListFields()
    ]


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_round_trip(tmp_path: Path, encoding: datum_store.Encoding) -> None:
    images = faces(23)
    write(tmp_path / "db", images, encoding)
    split = datum_store.read_split(tmp_path / "db")
    assert split.keys[11] == "00000011_/train/2/00011.png"
    assert split.images.shape == (23, 1, 5, 7)
    np.testing.assert_array_equal(split.images[:, 0], images)
    np.testing.assert_array_equal(split.labels, np.arange(23) % 3)
    streamed = list(datum_store.iterate(tmp_path / "db"))
    np.testing.assert_array_equal(np.stack([record.image[0] for record in streamed]), images)
    assert [record.key.decode() for record in streamed] == split.keys


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_color_images_are_blue_green_red_planes(tmp_path: Path, encoding: datum_store.Encoding) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 7), dtype=np.uint8)
    write(tmp_path / "db", images, encoding)
    np.testing.assert_array_equal(datum_store.read_split(tmp_path / "db").images, images)
    value = Datum.FromString(next(datum_store.iterate_values(tmp_path / "db"))[1])
    if encoding == "raw":
        assert (value.channels, value.height, value.width) == (3, 5, 7)
        assert value.data == images[0].tobytes()
    else:
        decoded = cv2.imdecode(np.frombuffer(value.data, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decoded.transpose(2, 0, 1), images[0])


def test_an_alpha_channel_is_dropped(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    data = cv2.imencode(".png", image)[1].tobytes()
    put(tmp_path / "db", {b"a": Datum(data=data, encoded=True, label=2).SerializeToString()})
    split = datum_store.read_split(tmp_path / "db")
    np.testing.assert_array_equal(split.images[0], image[:, :, :3].transpose(2, 0, 1))
    assert split.labels.tolist() == [2]


def test_records_are_complete_after_the_map_grows(tmp_path: Path) -> None:
    images = faces(2500, 20, 20)
    writer = write(tmp_path / "db", images, map_bytes=1 << 16)
    split = datum_store.read_split(tmp_path / "db")
    assert writer.count == len(split.keys) == 2500
    np.testing.assert_array_equal(split.images[:, 0], images)
    assert writer.sha256 == datum_store.digest(tmp_path / "db")


def test_digest_depends_on_every_record(tmp_path: Path) -> None:
    images = faces(9)
    first = write(tmp_path / "first", images)
    images[8, 4, 6] ^= 1
    assert write(tmp_path / "second", images).sha256 != first.sha256


def test_names_need_not_be_utf8(tmp_path: Path) -> None:
    name = b"/train/1/caf\xe9.png".decode("utf-8", errors="surrogateescape")
    with datum_store.LmdbWriter(tmp_path / "db") as writer:
        writer.append(name, faces(1)[0], 1)
    assert datum_store.read_split(tmp_path / "db").keys == ["00000000_" + name]
    assert next(datum_store.iterate(tmp_path / "db")).key == b"00000000_/train/1/caf\xe9.png"


def test_votes_are_stored_in_a_separate_database(tmp_path: Path) -> None:
    with datum_store.LmdbWriter(tmp_path / "votes") as writer:
        writer.append_value("a", datum_store.encode_votes([4, 0, 0, 1, 3, 2, 0, 0, 0, 0], 0))
        writer.append_value("b", datum_store.encode_votes([6, 0, 1, 1, 0, 0, 0, 0, 2, 0], 0))
    keys, votes = datum_store.read_votes(tmp_path / "votes")
    assert keys == ["00000000_a", "00000001_b"]
    np.testing.assert_array_equal(votes, [[4, 0, 0, 1, 3, 2, 0, 0, 0, 0], [6, 0, 1, 1, 0, 0, 0, 0, 2, 0]])


def test_several_processes_read_one_database(tmp_path: Path) -> None:
    write(tmp_path / "db", faces(50))
    code = "import sys; from prototxt_like.io.datum_store import digest; print(digest(sys.argv[1]))"
    readers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "db")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert {reader.communicate()[0].strip() for reader in readers} == {datum_store.digest(tmp_path / "db")}


def test_a_folder_without_write_permission_can_be_read(tmp_path: Path) -> None:
    write(tmp_path / "db", faces(5))
    (tmp_path / "db" / "lock.mdb").unlink()
    (tmp_path / "db").chmod(0o555)
    assert len(datum_store.read_split(tmp_path / "db").keys) == 5
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["data.mdb"]


def put(path: Path, records: dict[bytes, bytes]) -> None:
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)


def test_a_database_is_closed_if_it_cannot_be_written(tmp_path: Path) -> None:
    class Full:
        def __init__(self, environment: lmdb.Environment) -> None:
            self.environment = environment

        def __getattr__(self, name: str) -> object:
            return getattr(self.environment, name)

        def sync(self, force: bool) -> None:
            raise OSError(28, "No space left on device")

    writer = datum_store.LmdbWriter(tmp_path / "db")
    environment = writer._environment
    writer._environment = Full(environment)
    with pytest.raises(StoreError, match="no space left"):
        writer.close()
    with pytest.raises(lmdb.Error, match="closed"):
        environment.info()


def test_missing_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere is not an LMDB: .*pass the folder"):
        datum_store.read_split(tmp_path / "nowhere")


def test_empty_database(tmp_path: Path) -> None:
    put(tmp_path / "db", {})
    with pytest.raises(StoreError, match="is empty"):
        datum_store.read_split(tmp_path / "db")


def test_existing_databases_are_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "db", faces(3))
    with pytest.raises(StoreError, match="already contains a database"):
        datum_store.LmdbWriter(tmp_path / "db")


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, 20000, 40000])
def test_truncated_files_raise_an_error(tmp_path: Path, size: int) -> None:
    write(tmp_path / "db", faces(200, 20, 20))
    content = (tmp_path / "db" / "data.mdb").read_bytes()
    assert len(content) > 40960
    (tmp_path / "db" / "data.mdb").write_bytes(content[:size])
    with pytest.raises(StoreError, match="db"):
        datum_store.read_split(tmp_path / "db")


def test_a_file_that_is_not_an_lmdb(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data.mdb").write_bytes(b"emotion,pixels,Usage\n" * 1000)
    with pytest.raises(StoreError, match="db"):
        datum_store.read_split(tmp_path / "db")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff\xff\xff", "is not a Datum"),
        (Datum(channels=3, height=2, width=2, data=bytes(11)).SerializeToString(), "found 3 x 2 x 2"),
        (Datum(channels=1, height=2, width=2, data=bytes(3)).SerializeToString(), "3 bytes of data"),
        (Datum(channels=1, height=-2, width=-2, data=bytes(4)).SerializeToString(), "found 1 x -2 x -2"),
        (Datum(channels=1, height=1, width=1, float_data=[1.0]).SerializeToString(), "found 1 x 1 x 1 with 1 numbers"),
        (Datum(encoded=True, data=b"\x89PNG\r\n").SerializeToString(), "damaged or not of 8 bits"),
        (Datum(encoded=True).SerializeToString(), "damaged or not of 8 bits"),
    ],
)
def test_invalid_records_are_rejected(tmp_path: Path, value: bytes, message: str) -> None:
    put(tmp_path / "db", {b"00000000_a.png": value})
    with pytest.raises(StoreError, match=f"00000000_a.png.*{message}"):
        datum_store.read_split(tmp_path / "db")


@given(
    st.binary(max_size=100)
    | st.builds(
        lambda **fields: Datum(**fields).SerializeToString(),
        channels=st.integers(-3, 3),
        height=st.integers(-(2**31), 2**31 - 1),
        width=st.integers(-5, 5),
        data=st.binary(max_size=30),
        encoded=st.booleans(),
        label=st.integers(-(2**31), 2**31 - 1),
    )
)
@example(b"\x08\x01\x10\x01\x18\x00\x22\x00\x28\x00")  # 1 x 1 x 0
@settings(max_examples=300, deadline=None)
def test_arbitrary_values_are_decoded_or_rejected(value: bytes) -> None:
    try:
        image, label = datum_store.decode_datum(value, "db: key")
    except StoreError as error:
        assert str(error).startswith("db: key")
    else:
        assert image.ndim == 3 and image.size and isinstance(label, int)


def test_faces_of_two_sizes(tmp_path: Path) -> None:
    with datum_store.LmdbWriter(tmp_path / "db") as writer:
        writer.append("a", faces(1, 5, 7)[0], 0)
        writer.append("b", faces(1, 7, 5)[0], 0)
    with pytest.raises(StoreError, match=r"00000001_b is 1 x 7 x 5.*1 x 5 x 7"):
        datum_store.read_split(tmp_path / "db")


def test_a_key_that_is_too_long(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="has 609 bytes, expected at most 511"),
        datum_store.LmdbWriter(tmp_path / "db") as writer,
    ):
        writer.append("x" * 600, faces(1)[0], 0)


def test_a_file_size_limit_is_reported_in_one_line(tmp_path: Path) -> None:
    """A file size limit replaces a full disk, which a test cannot always create."""
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from prototxt_like.io.datum_store import LmdbWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        "with LmdbWriter(sys.argv[1]) as writer:\n"
        "    for number in range(1000): writer.append(str(number), np.zeros((48, 48), np.uint8), 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "db")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "prototxt_like.errors.StoreError" in done.stderr.splitlines()[-1]


def test_full_disk(small_disk: Path) -> None:
    with pytest.raises(StoreError, match="no space left on the disk"):
        write(small_disk / "db", faces(3000, 48, 48))


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """File system of 2 MB; needs permission to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode
    ):
        pytest.skip("cannot mount a small file system here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_nine_digit_numbers_are_rejected():
    assert datum_store.make_key(99_999_999, "a") == b"99999999_a" > datum_store.make_key(99_999_998, "a")
    with pytest.raises(StoreError, match=r"more than 100,000,000 records.*several data sets"):
        datum_store.make_key(100_000_000, "a")
