"""Test that OpenCV 4's Caffe importer runs exported nets. OpenCV 5 has no such importer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl

cv2 = pytest.importorskip("cv2")


@pytest.mark.skipif(not hasattr(cv2.dnn, "readNetFromCaffe"), reason="needs OpenCV 4: OpenCV 5 reads no Caffe files")
def test_opencv_computes_the_same_values(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = pl.Net(pl.zoo.path("face_emotion_net") / "deploy.prototxt")
    for mean_sum, variance_sum, scale in (net.params[f"conv{index}/bn"] for index in (1, 2, 3)):
        mean_sum.normal_(0, 0.2)
        variance_sum.uniform_(1, 9)
        scale.fill_(3)
    pl.write_text(pl.strip_extensions(net.proto), tmp_path / "deploy.prototxt")
    pl.save_weights(net, tmp_path / "net.caffemodel")
    faces = torch.randn(4, 1, 42, 42)
    opencv_net = cv2.dnn.readNetFromCaffe(str(tmp_path / "deploy.prototxt"), str(tmp_path / "net.caffemodel"))
    opencv_net.setInput(faces.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(opencv_net.forward(), net(data=faces)["prob"].numpy(), atol=1e-5)
