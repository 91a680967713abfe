"""Tests of pycaffe's conversions, its Transformer and Classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prototxt_like import pycaffe as caffe


def test_blobs_and_datums_both_ways() -> None:
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    blob = caffe.io.array_to_blobproto(array, diff=array + 1)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), array + 1)
    serialized = caffe.io.arraylist_to_blobprotovector_str([array, array[0]])
    assert [part.shape for part in caffe.io.blobprotovector_str_to_arraylist(serialized)] == [(1, 2, 3), (2, 3)]
    for values in (array, array.astype(np.uint8)):
        datum = caffe.io.array_to_datum(values, 4)
        assert datum.label == 4
        np.testing.assert_array_equal(caffe.io.datum_to_array(datum), array)
    with pytest.raises(ValueError, match="found 2, expected 3"):
        caffe.io.array_to_datum(array[0])


def transformer() -> caffe.io.Transformer:
    result = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    result.set_transpose("data", (2, 0, 1))
    result.set_channel_swap("data", (2, 1, 0))
    result.set_raw_scale("data", 255)
    result.set_mean("data", np.array([10.0, 20.0, 30.0]))
    result.set_input_scale("data", 0.5)
    return result


def test_transformer_in_the_order_of_caffe_and_back() -> None:
    image = np.random.default_rng(1).uniform(size=(4, 5, 3)).astype(np.float32)
    found = transformer().preprocess("data", image)
    bgr = image[:, :, ::-1].transpose(2, 0, 1) * 255
    np.testing.assert_allclose(found, (bgr - np.array([10, 20, 30]).reshape(3, 1, 1)) * 0.5, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(transformer().deprocess("data", found), image, rtol=1e-5, atol=1e-5)
    constant = transformer().preprocess("data", np.full((9, 7, 3), 0.5, np.float32))
    np.testing.assert_allclose(constant[0], (127.5 - 10) * 0.5)


def test_transformer_errors() -> None:
    with pytest.raises(ValueError, match="is not one of the net inputs: data"):
        transformer().set_raw_scale("dta", 1)
    with pytest.raises(ValueError, match="expected 3 channels"):
        transformer().set_channel_swap("data", (0, 1))
    with pytest.raises(ValueError, match="found 2, expected 3"):
        transformer().set_mean("data", np.zeros(2))


def test_mean_image_is_resized() -> None:
    result = transformer()
    result.set_mean("data", np.stack([np.full((8, 10), value) for value in (0.0, 10.0, 20.0)]))
    assert result.mean["data"].shape == (3, 4, 5)
    np.testing.assert_allclose(result.mean["data"][1], 10, rtol=1e-6)


def test_oversample_and_resize() -> None:
    image = np.arange(6 * 8, dtype=np.float32).reshape(6, 8, 1)
    crops = caffe.io.oversample([image], (4, 4))
    assert crops.shape == (10, 4, 4, 1)
    np.testing.assert_array_equal(crops[0], image[:4, :4])
    np.testing.assert_array_equal(crops[4], image[1:5, 2:6])
    np.testing.assert_array_equal(crops[9], image[1:5, 2:6][:, ::-1])
    assert caffe.io.resize_image(image, (3, 4)).shape == (3, 4, 1)


def test_classifier(deploy: tuple[Path, Path], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.random.default_rng(5).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), pixels)
    image = caffe.io.load_image(str(tmp_path / "image.png"))
    np.testing.assert_allclose(image, pixels[:, :, ::-1] / 255.0, rtol=1e-6)
    assert caffe.io.load_image(str(tmp_path / "image.png"), color=False).shape == (9, 8, 1)
    classifier = caffe.Classifier(
        str(deploy[0]), str(deploy[1]), image_dims=(9, 8), raw_scale=255, channel_swap=(2, 1, 0), mean=np.full(3, 100.0)
    )
    both = [classifier.predict([image], oversample=several) for several in (True, False)]
    assert all(part.shape == (1, 3) for part in both)
    center = (pixels[1:7, 1:6].transpose(2, 0, 1) - 100.0).astype(np.float32)
    expected = caffe.Net(str(deploy[0]), caffe.TEST, weights=str(deploy[1])).forward_all(data=center[None])["prob"]
    np.testing.assert_allclose(both[1], expected, rtol=1e-3)
