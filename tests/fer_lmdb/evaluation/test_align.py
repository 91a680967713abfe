"""`evaluate --align`: a model is run on the aligned and the unaligned faces, and its probabilities are averaged."""

from __future__ import annotations

import numpy as np
import pytest

import fer_lmdb as fer
from fer_lmdb.cli import main
from fer_lmdb.errors import OptionError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.registry import load_model


def test_both_averages_the_probabilities_of_one_model(trained, stripes_data, negative_data) -> None:
    faces = fer.DataSet.open(stripes_data).read("val").images
    classifier = Classifier(load_model(trained.run.path))
    rows = [classifier.probabilities(images, 2) for images in (faces, 255 - faces)]
    sets = [stripes_data, negative_data]
    found = {
        align: fer.evaluate(trained, sets, tta=2, align=align, log=False) for align in ("box", "landmarks", "both")
    }
    np.testing.assert_allclose(found["box"].probabilities, rows[0], atol=1e-5)
    np.testing.assert_allclose(found["landmarks"].probabilities, rows[1], atol=1e-5)
    np.testing.assert_allclose(found["both"].probabilities, np.mean(rows, axis=0), atol=1e-5)
    assert found["both"].preprocessing_mismatch is found["box"].preprocessing_mismatch is None
    assert found["landmarks"].preprocessing_mismatch is not None
    assert [each.to_dict()["align"] for each in found.values()] == list(found)


def test_the_figures_of_a_model_do_not_include_those_with_align(trained, stripes_data, negative_data, capsys) -> None:
    before = read_evaluations(trained.run)
    words = ["evaluate", str(trained.run.path), "--align", "both"]
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--data", str(stripes_data), "--data", str(negative_data), "--split", "train"])
    assert exit_.value.code == 0
    assert f"averaged over aligned and unaligned faces, with {negative_data}" in capsys.readouterr().out
    assert read_evaluations(trained.run) == before


def test_calibration_records_the_alignment(trained, stripes_data, negative_data, tmp_path) -> None:
    out = tmp_path / "m.safetensors"
    found = fer.calibrate(trained, [stripes_data, negative_data], align="both", out=out, device="cpu")
    assert load_model(out).metadata.calibration["align"] == found.align == "both"


def test_an_unknown_alignment_is_an_error(trained, stripes_data) -> None:
    with pytest.raises(OptionError, match="invalid align: found 'eyes', expected one of: landmarks, box, both"):
        fer.evaluate(trained, stripes_data, align="eyes")
