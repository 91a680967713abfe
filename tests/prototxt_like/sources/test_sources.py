"""Tests of the sources of data layers: LMDB, image lists and HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.sources.fed_net import FedNet

cv2 = pytest.importorskip("cv2")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 3, 5, 4), dtype=np.uint8)


def write_lmdb(folder: Path, values: list[bytes]) -> None:
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder)) as base, base.begin(write=True) as transaction:
        for index, value in enumerate(values):
            transaction.put(f"{index:08d}".encode(), value)


def fed(text: str, folder: Path, phase: str = "TEST") -> FedNet:
    return FedNet(pl.parse_net(text), phase, folder=folder)


def data_net(options: str = "", transform: str = "") -> str:
    return (
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 2 } '
        f"transform_param {{ {transform} }} {options} }}"
        'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }'
    )


@pytest.mark.parametrize("encoded", [False, True])
def test_database_in_order_of_keys_and_again_from_the_start(tmp_path: Path, encoded: bool) -> None:
    pixels = images(3)
    values = []
    for label, image in enumerate(pixels):
        data = cv2.imencode(".png", image.transpose(1, 2, 0))[1].tobytes() if encoded else image.tobytes()
        sizes = {} if encoded else {"channels": 3, "height": 5, "width": 4}
        values.append(pl.Datum(data=data, label=label, encoded=encoded, **sizes).SerializeToString())
    write_lmdb(tmp_path / "db", values)
    net = fed(data_net(transform="scale: 0.5 mean_value: 8"), tmp_path)
    assert net.net.input_shapes == {"data": (2, 3, 5, 4), "label": (2,)}
    batches = [net.next_batch() for _ in range(2)]
    assert [batch["label"].tolist() for batch in batches] == [[0, 1], [2, 0]]
    expected = (pixels[[2, 0]].astype(np.float32) - 8) * 0.5
    np.testing.assert_array_equal(batches[1]["data"].numpy(), expected)


def test_float_datum_without_label_top(tmp_path: Path) -> None:
    datum = pl.Datum(channels=2, height=1, width=1, float_data=[0.5, -1.0])
    write_lmdb(tmp_path / "db", [datum.SerializeToString()])
    text = 'layer { name: "d" type: "Data" top: "data" data_param { source: "db" batch_size: 1 } }'
    net = fed(text + 'layer { name: "s" type: "Silence" bottom: "data" }', tmp_path)
    assert net.next_batch()["data"].flatten().tolist() == [0.5, -1.0]


def test_random_crops_depend_on_the_seed(tmp_path: Path) -> None:
    datum = pl.Datum(channels=3, height=5, width=4, data=images(1)[0].tobytes())
    write_lmdb(tmp_path / "db", [datum.SerializeToString()])

    def batches(seed: int) -> list[list[float]]:
        torch.manual_seed(seed)
        net = fed(data_net(transform="crop_size: 3 mirror: true"), tmp_path, "TRAIN")
        return [net.next_batch()["data"].flatten().tolist() for _ in range(3)]

    assert batches(1) == batches(1) != batches(2)


def test_image_list_with_sizes_and_spaces(tmp_path: Path) -> None:
    pixels = images(2)
    for index, image in enumerate(pixels):
        cv2.imwrite(str(tmp_path / f"a {index}.png"), image.transpose(1, 2, 0))
    (tmp_path / "list.txt").write_text("a 0.png 4\na 1.png 5\n")
    text = (
        'layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" '
        f'batch_size: 2 root_folder: "{tmp_path}/" '
    )
    silence = 'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }'
    batch = fed(text + "} }" + silence, tmp_path).next_batch()
    np.testing.assert_array_equal(batch["data"].numpy(), pixels.astype(np.float32))
    assert batch["label"].tolist() == [4.0, 5.0]
    gray = fed(text + "is_color: false new_height: 7 new_width: 9 shuffle: true } }" + silence, tmp_path)
    assert gray.next_batch()["data"].shape == (2, 1, 7, 9)


def first_labels(text: str, folder: Path) -> set[tuple[float, ...]]:
    """Return the labels of the first batch for ten seeds; the same seed gives the same batch."""

    def labels(seed: int) -> tuple[float, ...]:
        torch.manual_seed(seed)
        return tuple(fed(text, folder).next_batch()["label"].tolist())

    found = [labels(seed) for seed in range(10)]
    assert found == [labels(seed) for seed in range(10)]
    return set(found)


def test_a_database_ignores_rand_skip_as_caffe_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sizes = {"channels": 3, "height": 5, "width": 4}
    data = [pl.Datum(data=image.tobytes(), label=label, **sizes) for label, image in enumerate(images(3))]
    write_lmdb(tmp_path / "db", [datum.SerializeToString() for datum in data])
    assert first_labels(data_net().replace("batch_size: 2", "batch_size: 2 rand_skip: 2"), tmp_path) == {(0, 1)}
    assert "ignores rand_skip, as in Caffe since 1.0" in capfd.readouterr().err


def test_rand_skip_of_an_image_list(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for index, image in enumerate(images(3)):
        cv2.imwrite(str(tmp_path / f"{index}.png"), image.transpose(1, 2, 0))
    (tmp_path / "list.txt").write_text("0.png 0\n1.png 1\n2.png 2\n")
    text = (
        'layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" '
        f'batch_size: 2 root_folder: "{tmp_path}/" rand_skip: 3 }} }}'
        'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }'
    )
    assert first_labels(text, tmp_path) == {(0, 1), (1, 2), (2, 0)}
    capfd.readouterr()
    torch.manual_seed(1)
    skipped = fed(text, tmp_path).next_batch()["label"][0]
    assert f"Skipping first {skipped:.0f} data points." in capfd.readouterr().err
    with pytest.raises(pl.FileError, match="invalid rand_skip: found 4, expected at most 3, the images of the list"):
        fed(text.replace("rand_skip: 3", "rand_skip: 4"), tmp_path)


def test_hdf5_rows_across_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for name, start, count in (("a.h5", 0, 2), ("b.h5", 2, 3)):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = np.arange(start, start + count, dtype=np.float64)[:, None] * np.ones((1, 3))
            file["y"] = np.arange(start, start + count)
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    text = 'layer { name: "d" type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "list.txt" batch_size: 4 } }'
    net = fed(text + 'layer { name: "s" type: "Silence" bottom: "x" bottom: "y" }', tmp_path)
    assert net.net.input_shapes == {"x": (4, 3), "y": (4,)}
    assert [net.next_batch()["y"].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 0, 1, 2]]
    with pytest.raises(pl.FileError, match='has no dataset "z"; found x, y'):
        fed(text.replace('"y"', '"z"') + 'layer { name: "s" type: "Silence" bottom: "x" }', tmp_path)


def test_the_line_tells_which_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    datum = pl.Datum(channels=3, height=5, width=4, data=images(1)[0].tobytes()).SerializeToString()
    write_lmdb(tmp_path / "db", [datum])
    fed(data_net(), tmp_path)
    assert f"source: using {tmp_path}/db, which lies beside the prototxt" in capfd.readouterr().err
    monkeypatch.chdir(tmp_path)
    fed(data_net(), tmp_path / "elsewhere")
    assert "using" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (data_net(), 'layer "d" (Data): source not found: tried db and {folder}/db'),
        (data_net().replace('source: "db"', ""), 'layer "d" (Data): source is missing; set it'),
        (
            'layer { name: "w" type: "WindowData" top: "a" }',
            'layer "w": data of type WindowData cannot be read; use Data, ImageData or HDF5Data',
        ),
    ],
)
def test_missing_sources(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(pl.PrototxtLikeError) as caught:
        fed(text, tmp_path)
    assert str(caught.value).startswith(message.format(folder=tmp_path))
