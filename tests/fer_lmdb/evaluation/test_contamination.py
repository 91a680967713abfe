from __future__ import annotations

from dataclasses import replace

import pytest

from fer_lmdb.cli import main
from fer_lmdb.data.build.join import join
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation import contamination
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.models.registry import load_model
from fer_lmdb.training import train


@pytest.fixture(scope="module")
def trained_on_both(options, tmp_path_factory):
    """A run trained on the training and the validation split."""
    both = replace(options, train_splits="train+val", epochs=1)
    return train.train(both, tmp_path_factory.mktemp("runs") / "both").run.path


def test_results_on_a_training_split_are_marked(trained_on_both, trained, stripes_data, capsys):
    names = [str(trained.run.path), str(trained_on_both)]
    assert evaluate(names, stripes_data, "val").trained_on_split == [str(trained_on_both)]
    assert evaluate(names, stripes_data, "train").trained_on_split == names
    assert evaluate(names, stripes_data, "test").trained_on_split is None
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained_on_both), "--data", str(stripes_data)])
    assert f"{trained_on_both} was trained on this split; the metrics are optimistic." in capsys.readouterr().out


def test_training_splits_are_inherited_by_fine_tuning(trained_on_both, options, stripes_data, tmp_path):
    tuned = train.train(replace(options, init=str(trained_on_both), epochs=1), tmp_path / "tuned").run.path
    assert evaluate([tuned], stripes_data, "val").trained_on_split == [str(tuned)]


def test_weights_are_not_fitted_on_a_split_that_only_some_models_were_trained_on(
    trained_on_both, trained, stripes_data
):
    with pytest.raises(ModelError, match=r"both was trained on val, so weights fitted on it would be biased"):
        evaluate([trained.run.path, trained_on_both], stripes_data, "test", fit_weights_on="val")
    fitted = evaluate([trained.run.path, trained.run.last], stripes_data, "test", fit_weights_on="train")
    assert fitted.fitted_on == "train"


def test_training_faces_are_found_in_joined_data_sets(trained, stripes_data, negative_data, tmp_path):
    join([stripes_data, negative_data], tmp_path / "joined")
    joined, alone = DataSet.open(tmp_path / "joined"), load_model(trained.run.path).metadata
    together = ModelMetadata({"data": joined.fingerprint(), "recipe": {"options": {"train_splits": "train"}}})
    assert contamination.was_trained_on(alone, joined, "train")
    assert contamination.was_trained_on(together, DataSet.open(stripes_data), "train")
    assert not contamination.was_trained_on(ModelMetadata({"data": {"source": {"sha256": "another"}}}), joined, "train")
    assert not contamination.was_trained_on(together, joined, "val")


@pytest.mark.parametrize("facts", [{}, {"data": None, "init": "x", "recipe": []}, {"data": {"source": {}}}])
def test_metadata_without_data_contain_no_training_splits(facts, stripes_data):
    metadata = ModelMetadata.from_dict(facts)
    assert contamination.training_splits(metadata) == {}
    assert not contamination.was_trained_on(metadata, DataSet.open(stripes_data), "train")
