"""README of an export with raw input: ten lines each of OpenCV 4 and pycaffe."""

from __future__ import annotations

import json
from pathlib import Path

import prototxt_like as pl
from fer_lmdb.models.model import Model


def readme(model: Model, caffemodel: Path) -> str:
    """Return the README of a model whose net takes the pixels of a cropped face.

    Args:
        model: Model with raw input.
        caffemodel: Path of the weights.
    """
    net = pl.Net(pl.parse_net(model.deploy_prototxt))
    ((name, shape),) = net.input_shapes.items()
    size, side = model.preprocessing.size, shape[-1]
    start = (size - side) // 2
    order = model.preprocessing.channel_order
    flag = "cv2.IMREAD_GRAYSCALE" if order == "gray" else "cv2.IMREAD_COLOR"
    swap = ", swapRB=True" if order == "rgb" else ""
    crop = "" if side == size else f"[{start}:{start + side}, {start}:{start + side}]"
    channels = {"gray": "face[None]", "bgr": "face.transpose(2, 0, 1)", "rgb": "face[..., ::-1].transpose(2, 0, 1)"}
    classes = json.dumps(list(model.scheme.classes))
    cut = f", of which the center of {side} x {side} pixels goes in" if crop else ""
    return f"""# {model.name}

The net takes a cropped face of {size} x {size} pixels, values 0 to 255{cut}; mean and scale are inside the net. It
returns the probabilities of {len(model.scheme)} classes. The comment in deploy.prototxt tells how a face was cut.

## OpenCV 4

```python
import cv2

labels = {classes}
net = cv2.dnn.readNetFromCaffe("deploy.prototxt", "{caffemodel.name}")
face = cv2.resize(cv2.imread("face.png", {flag}), ({size}, {size})){crop}
net.setInput(cv2.dnn.blobFromImage(face{swap}))
probabilities = net.forward().reshape(-1)
for label, probability in sorted(zip(labels, probabilities), key=lambda pair: -pair[1]):
    print(f"{{label:12}}{{probability:7.1%}}")
```

## pycaffe

```python
import caffe
import cv2

labels = {classes}
net = caffe.Net("deploy.prototxt", "{caffemodel.name}", caffe.TEST)
face = cv2.resize(cv2.imread("face.png", {flag}), ({size}, {size})){crop}
net.blobs["{name}"].reshape(1, {shape[1]}, {side}, {side})
net.blobs["{name}"].data[...] = {channels[order]}
probabilities = net.forward()["{net.outputs[0]}"].reshape(-1)
for label, probability in sorted(zip(labels, probabilities), key=lambda pair: -pair[1]):
    print(f"{{label:12}}{{probability:7.1%}}")
```
"""
