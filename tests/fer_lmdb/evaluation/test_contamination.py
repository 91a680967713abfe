from __future__ import annotations

from dataclasses import replace

import pytest

from fer_lmdb.cli import main
from fer_lmdb.data.build.join import join
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation import contamination
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.models import model
from fer_lmdb.training import train


@pytest.fixture(scope="module")
def knowing(options, tmp_path_factory):
    """A run that learnt from the validation split as well."""
    both = replace(options, train_splits="train+val", epochs=1)
    return train.train(both, tmp_path_factory.mktemp("runs") / "both").run.path


def test_figures_on_faces_that_a_model_learnt_from_say_so(knowing, trained, stripes_data, capsys):
    names = [str(trained.run.path), str(knowing)]
    assert evaluate(names, stripes_data, "val")["trained_on_split"] == [str(knowing)]
    assert evaluate(names, stripes_data, "train")["trained_on_split"] == names
    assert "trained_on_split" not in evaluate(names, stripes_data, "test")
    with pytest.raises(SystemExit):
        main(["evaluate", str(knowing), "--data", str(stripes_data)])
    assert f"{knowing} learnt from these very faces: the figures flatter it." in capsys.readouterr().out


def test_who_begins_as_a_model_knows_what_it_knew(knowing, options, stripes_data, tmp_path):
    tuned = train.train(replace(options, init=str(knowing), epochs=1), tmp_path / "tuned").run.path
    assert evaluate([tuned], stripes_data, "val")["trained_on_split"] == [str(tuned)]


def test_weights_are_not_fitted_on_what_only_some_of_the_models_know(knowing, trained, stripes_data):
    with pytest.raises(ModelError, match=r"both learnt from val: weights fitted on it would prefer them"):
        evaluate([trained.run.path, knowing], stripes_data, "test", fit_weights_on="val")
    assert (
        evaluate([trained.run.path, trained.run.last], stripes_data, "test", fit_weights_on="train")["fitted_on"]
        == "train"
    )


def test_a_model_knows_the_faces_in_whatever_company_they_come(trained, stripes_data, negative_data, tmp_path):
    join([stripes_data, negative_data], tmp_path / "joined")
    joined, alone = DataSet.open(tmp_path / "joined"), model.load_model(trained.run.path).metadata
    together = {"data": joined.fingerprint(), "recipe": {"options": {"train_splits": "train"}}}
    assert contamination.was_trained_on(alone, joined, "train")
    assert contamination.was_trained_on(together, DataSet.open(stripes_data), "train")
    assert not contamination.was_trained_on({"data": {"source": {"sha256": "another"}}}, joined, "train")
    assert not contamination.was_trained_on(together, joined, "val")


@pytest.mark.parametrize("facts", [{}, {"data": None, "init": "x", "recipe": []}, {"data": {"source": {}}}])
def test_a_model_that_does_not_say_knows_nothing(facts, stripes_data):
    assert contamination.training_splits(facts) == {}
    assert not contamination.was_trained_on(facts, DataSet.open(stripes_data), "train")
