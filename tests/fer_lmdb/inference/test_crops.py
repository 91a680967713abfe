"""Crops of a face: by landmarks, by the box, and both."""

from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import OptionError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inference.crops import crop_settings


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    from skimage import data

    return data.astronaut()[20:220, 120:320]


def values(faces) -> np.ndarray:
    (face,) = faces
    return np.array(list(face.probabilities.values()))


def test_both_is_the_mean_of_landmarks_and_box(trained, portrait: np.ndarray) -> None:
    found = {
        align: values(Recognizer(trained.run.path, align=align, device="cpu").predict(portrait))
        for align in (None, "landmarks", "box", "both")
    }
    np.testing.assert_array_equal(found[None], found["landmarks"])
    assert not np.allclose(found["landmarks"], found["box"], atol=1e-4)
    np.testing.assert_allclose(found["both"], (found["landmarks"] + found["box"]) / 2, atol=1e-6)


def test_a_face_without_landmarks_is_classified_once(trained, stripes_data, monkeypatch) -> None:
    from fer_lmdb.data.dataset import DataSet

    image = DataSet.open(stripes_data).read("val").images[0, 0]
    recognizer = Recognizer(trained.run.path, detector="none", align="both", device="cpu")
    (classifier,) = recognizer._classifiers
    calls = []
    original = classifier.probabilities
    monkeypatch.setattr(classifier, "probabilities", lambda faces, tta: calls.append(1) or original(faces, tta))
    both = values(recognizer.predict(image))
    assert len(calls) == 1
    np.testing.assert_allclose(both, values(Recognizer(trained.run.path, detector="none").predict(image)), atol=1e-5)


def test_the_margin_belongs_to_its_alignment() -> None:
    model = Preprocessing(template="arcface", margin=-0.08)
    own, by_box = crop_settings(model, "both")
    assert own == model
    assert (by_box.align, by_box.margin, by_box.size) == ("box", 0.0, 48)
    boxed = Preprocessing(align="box", margin=0.1)
    assert crop_settings(boxed, "box") == crop_settings(boxed, None) == (boxed,)
    assert [each.margin for each in crop_settings(boxed, "both")] == [0.0, 0.1]


def test_an_unknown_alignment_is_an_error() -> None:
    with pytest.raises(OptionError, match="invalid align: found 'eyes', expected one of: landmarks, box, both"):
        crop_settings(Preprocessing(), "eyes")
