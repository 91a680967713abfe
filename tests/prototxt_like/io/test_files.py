"""Tests for readers and writers, including damaged and malicious files."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from prototxt_like.io import file_bytes, files

NET = 'name: "small"\nlayer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 } } }\n'


def caffemodel() -> bytes:
    net = pl.parse_net(NET)
    layer = net.layer.add(name="ip", type="InnerProduct", bottom=["a"], top=["b"])
    layer.blobs.append(pl.array_to_blob(np.arange(15, dtype=np.float32).reshape(5, 3)))
    return net.SerializeToString()


def test_text_and_binary_are_distinguished(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel())
    assert pl.read_net(tmp_path / "net.prototxt").layer[0].input_param.shape[0].dim == [2, 3]
    assert pl.read_net(str(tmp_path / "net.caffemodel")).layer[1].blobs[0].data[14] == 14


def test_damaged_hdf5_weights_are_rejected(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "net.caffemodel.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(pl.FileError, match="damaged HDF5 file"):
        pl.read_net(tmp_path / "net.caffemodel.h5")


def test_hdf5_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "net.caffemodel.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(pl.FileError, match=r'needs the package h5py; install it: pip install "fer-lmdb\[hdf5\]"'):
        pl.read_net(tmp_path / "net.caffemodel.h5")


def test_windows_line_ends_and_old_encodings(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\xef\xbb\xbf# m\xe4n\r\n".replace(b"\xe4", "ä".encode()) + NET.replace("\n", "\r\n").encode())
    assert pl.read_net(path).name == "small"
    path.write_bytes("# Jürgen\n".encode("latin-1") + NET.encode())
    assert pl.read_net(path).name == "small"


def test_errors_contain_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text("nam: 3")
    with pytest.raises(pl.ParseError) as caught:
        pl.read_net(path)
    assert str(caught.value) == f'{path}:1:1: unknown field "nam" in NetParameter; did you mean "name"?'


@pytest.mark.parametrize("reader", [pl.read_net, pl.read_solver, pl.read_mean, pl.read_solver_state])
def test_unreadable_files(tmp_path: Path, reader: object) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for path, reason in ((empty, "the file is empty"), (tmp_path, "Is a directory"), (tmp_path / "no", "No such file")):
        with pytest.raises(pl.FileError, match=reason) as caught:
            reader(path)
        assert str(caught.value).startswith(str(path))


def test_every_truncation_of_a_caffemodel_is_an_error_or_a_shorter_model(tmp_path: Path) -> None:
    """Truncation between two fields gives a valid message; truncation inside a field is an error."""
    complete = caffemodel()
    errors = 0
    for length in range(1, len(complete)):
        path = tmp_path / "cut.caffemodel"
        path.write_bytes(complete[:length])
        try:
            assert len(pl.read_net(path).layer) < 2
        except pl.FileError as error:
            assert str(path) in str(error)
            errors += 1
    assert errors > len(complete) * 0.9


def test_flipped_bytes_never_escape_as_another_exception(tmp_path: Path) -> None:
    generator = random.Random(5)
    complete = caffemodel()
    path = tmp_path / "flipped.caffemodel"
    for _ in range(500):
        content = bytearray(complete)
        for _ in range(generator.randint(1, 4)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        path.write_bytes(content)
        try:
            message = pl.read_net(path)
            for layer in message.layer:
                for blob in layer.blobs:
                    pl.blob_to_array(blob)
        except pl.FileError:
            pass


def test_oversized_text_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_bytes, "MAX_TEXT_BYTES", 100)
    (tmp_path / "big.prototxt").write_text(NET + "# " + "x" * 100)
    with pytest.raises(pl.FileError, match="more than 100 bytes"):
        pl.read_net(tmp_path / "big.prototxt")
    with pytest.raises(pl.FileError, match="more than 100 bytes"):
        pl.read_solver(tmp_path / "big.prototxt")


def test_endless_file_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BINARY_BYTES", 1000)
    with pytest.raises(pl.FileError, match="more than 1000 bytes"):
        pl.read_mean("/dev/zero")


def test_solver(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text('net: "a" base_lr: 0.1 solver_type: ADAGRAD')
    solver = pl.read_solver(tmp_path / "solver.prototxt")
    assert (solver.type, solver.HasField("solver_type")) == ("AdaGrad", False)
    (tmp_path / "solver.prototxt").write_text('type: "SGD" solver_type: SGD')
    with pytest.raises(pl.FileError, match=r"solver.prototxt: the solver has both `type` and the older"):
        pl.read_solver(tmp_path / "solver.prototxt")


class TestMean:
    mean = np.random.default_rng(0).uniform(0, 255, (3, 5, 7)).astype(np.float32)

    def test_round_trip(self, tmp_path: Path) -> None:
        pl.write_mean(self.mean, tmp_path / "sub" / "mean.binaryproto")
        found = pl.read_mean(tmp_path / "sub" / "mean.binaryproto")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, self.mean)

    @pytest.mark.parametrize("shape", [(3, 5, 7), (1, 3, 5, 7)])
    def test_shapes_of_one_image(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        pl.write_binary(pl.array_to_blob(self.mean.reshape(shape)), tmp_path / "mean")
        assert pl.read_mean(tmp_path / "mean").shape == (3, 5, 7)

    @pytest.mark.parametrize("shape", [(5, 7), (2, 3, 5, 7), (0, 5, 7), ()])
    def test_other_shapes_are_rejected(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        array = np.zeros(shape, np.float32)
        pl.write_binary(pl.array_to_blob(array), tmp_path / "mean")
        with pytest.raises(pl.FileError, match="wrong shape of a mean image"):
            pl.read_mean(tmp_path / "mean")
        if shape != (0, 5, 7):
            with pytest.raises(pl.FileError, match="wrong shape of a mean image"):
                pl.write_mean(array, tmp_path / "other")

    def test_false_shape_allocates_no_memory(self, tmp_path: Path) -> None:
        blob = pl.BlobProto(num=1, channels=2**30, height=2**30, width=2**30, data=[1.0])
        pl.write_binary(blob, tmp_path / "mean")
        with pytest.raises(pl.FileError, match="found 1, expected"):
            pl.read_mean(tmp_path / "mean")

    def test_caffemodel_is_not_a_mean(self, tmp_path: Path) -> None:
        (tmp_path / "mean").write_bytes(caffemodel())
        with pytest.raises(pl.FileError):
            pl.read_mean(tmp_path / "mean")


class TestWriting:
    def test_failed_write_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "net.prototxt"
        target.write_text("old")

        def fail(self: Path, other: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(pl.FileError, match="cannot be written: No space left on device"):
            pl.write_text(pl.parse_net(NET), target)
        assert target.read_text() == "old"
        assert os.listdir(tmp_path) == ["net.prototxt"]  # noqa: PTH208 - hidden files count

    def test_missing_required_field_is_reported(self, tmp_path: Path) -> None:
        net = pl.parse_net("layer { clip_param { min: 1 } }")
        with pytest.raises(pl.FileError, match=r"clip_param.max"):
            pl.write_binary(net, tmp_path / "net")

    def test_file_mode_follows_the_umask(self, tmp_path: Path) -> None:
        pl.write_text(pl.parse_net(NET), tmp_path / "net")
        (tmp_path / "plain").touch()
        assert (tmp_path / "net").stat().st_mode == (tmp_path / "plain").stat().st_mode
