"""Small valid files of every kind, the start of the mutations."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import prototxt_like as pl
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.snapshot import Snapshot
from prototxt_like.io.datum_store import LmdbWriter, encode_datum, encode_votes

NET = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 8 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 3 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 3 } }
layer { name: "i" type: "InnerProduct" bottom: "n" top: "i" inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "i" top: "prob" }
"""
SOLVER = """net: "train_val.prototxt"
base_lr: 0.01 lr_policy: "multistep" gamma: 0.1 stepvalue: 60 stepvalue: 85
momentum: 0.9 weight_decay: 0.0005 max_iter: 100 display: 10 snapshot: 50 type: "SGD"
"""
IMAGES = {
    "PNG": "RGB", "JPEG": "RGB", "WEBP": "RGB", "BMP": "RGB", "TIFF": "L", "GIF": "P", "PPM": "RGB",
    "JPEG2000": "RGB", "AVIF": "RGB", "ICO": "RGBA", "TGA": "RGB",
}  # fmt: skip


def seeds(target: str, folder: Path) -> list[bytes]:
    """Return valid files for a target of `targets.TARGETS`.

    Args:
        target: its name.
        folder: an empty folder to write in.
    """
    return MAKERS[target](folder)


def _prototxt(folder: Path) -> list[bytes]:
    zoo = [(pl.zoo.path(name) / "train_val.prototxt").read_bytes() for name in ("shallow_cnn", "face_emotion_net")]
    return [NET.encode(), SOLVER.encode(), *zoo]


def _caffemodel(folder: Path) -> list[bytes]:
    net = pl.Net(pl.parse_net(NET))
    pl.save_weights(net, folder / "small.caffemodel")
    return [(folder / "small.caffemodel").read_bytes()]


def _binaryproto(folder: Path) -> list[bytes]:
    pl.write_mean(np.full((1, 12, 12), 128, np.float32), folder / "mean.binaryproto")
    return [(folder / "mean.binaryproto").read_bytes()]


def _datum(folder: Path) -> list[bytes]:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    return [encode_datum(image, 3), encode_datum(image, 3, "png"), encode_votes((1, 2, 3), 1)]


def _lmdb(folder: Path) -> list[bytes]:
    with LmdbWriter(folder / "small_lmdb", map_bytes=1 << 20) as writer:
        for number in range(30):
            writer.append(f"/train/{number % 7}/{number}.png", np.full((8, 8), number, np.uint8), number % 7)
    return [(folder / "small_lmdb" / "data.mdb").read_bytes()]


def _csv(folder: Path) -> list[bytes]:
    write_synthetic_csv(folder / "drawn.csv", train=3, val=1, test=1)
    first = (folder / "drawn.csv").read_bytes()
    other = b'emotion, Usage, pixels\r\n3,Training,"' + b" ".join([b"7"] * 2304) + b'"\r\n'
    return [first, b"\xef\xbb\xbf" + other]


def _votes(folder: Path) -> list[bytes]:
    classes = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [
        f"Usage,Image name,{classes}",
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
        "PublicTest,,0,9,1,0,0,0,0,0,0,0",
    ]
    return ["\r\n".join(lines).encode()]


def _image(folder: Path) -> list[bytes]:
    across = np.linspace(0, 255, 24, dtype=np.uint8)
    color = np.stack([np.tile(across, (16, 1)), np.full((16, 24), 90, np.uint8), np.tile(across[::-1], (16, 1))], -1)
    files = []
    for name, mode in IMAGES.items():
        file = BytesIO()
        Image.fromarray(color).convert(mode).save(file, format=name)
        files.append(file.getvalue())
    return files


def _small_model() -> Model:
    net = pl.Net(pl.parse_net(NET))
    weights = {f"{layer}/{i}": blob for layer, blobs in net.params.items() for i, blob in enumerate(blobs)}
    return Model(
        name="small",
        deploy_prototxt=NET,
        transform_prototxt="scale: 0.00390625",
        weights=weights,
        mean=np.full((1, 8, 8), 128, np.float32),
        scheme=FER2013,
        preprocessing=Preprocessing(detector="none", size=8),
    )


def _model(folder: Path) -> list[bytes]:
    _small_model().save(folder / "small.safetensors")
    return [(folder / "small.safetensors").read_bytes()]


def _snapshot(folder: Path) -> list[bytes]:
    run = RunFolder(folder)
    Snapshot({"net/c/0": torch.zeros(3, 5)}, {
        "iteration": 7, "loss_count": 1, "recent_losses": [0.5], "best": None,
        "log": [{"epoch": 1, "iteration": 5, "lr": 0.1, "train_loss": 2.0}],
        "solver": {"iteration": 7, "losses": [0.5], "plain": {"0": {"step": 7}}},
    }).write(run)  # fmt: skip
    return [run.snapshot.read_bytes()]


def _manifest(folder: Path) -> list[bytes]:
    facts = {"count": 3, "file_sha256": "0" * 64, "sha256": "0" * 64, "per_class": {"happy": 3}}
    document = {
        "format": "fer-lmdb data set 1", "scheme": "fer2013", "classes": list(FER2013.classes), "size": 48, "seed": 0,
        "detector": "none", "preprocessing": Preprocessing().to_dict(), "mean": {"sha256": "0" * 64},
        "splits": {"train": facts, "val": facts}, "source": {"name": "x", "rows": 6},
    }  # fmt: skip
    return [json.dumps(document, indent=1).encode()]


def _http(folder: Path) -> list[bytes]:
    file = BytesIO()
    Image.new("L", (4, 4), 90).save(file, format="PNG")
    part = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    body = b"--limit\r\n" + part + file.getvalue() + b"\r\n--limit--\r\n"
    form = b"Content-Type: multipart/form-data; boundary=limit\r\nContent-Length: %d\r\n\r\n" % len(body)
    return [form + body, b"Content-Type: image/png\r\nContent-Length: 74\r\n\r\n" + file.getvalue()]


MAKERS = {
    "prototxt": _prototxt,
    "caffemodel": _caffemodel,
    "binaryproto": _binaryproto,
    "datum": _datum,
    "lmdb": _lmdb,
    "csv": _csv,
    "votes": _votes,
    "image": _image,
    "model": _model,
    "snapshot": _snapshot,
    "manifest": _manifest,
    "outputs": lambda folder: [b"12345678"],
    "http": _http,
}
