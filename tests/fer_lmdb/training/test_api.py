"""Training from Python: keyword options, callbacks, results, and the files of a run."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import RunError
from fer_lmdb.models.run_folder import FIRST_BATCH
from fer_lmdb.training.callbacks import Callback, ProgressCallback
from fer_lmdb.training.ignored_fields import describe_ignored_fields
from fer_lmdb.training.options import TrainOptions
from fer_lmdb.training.recipe import build_recipe
from fer_lmdb.training.recipe_checks import validate_recipe
from fer_lmdb.training.train import resume, train


def curve(run, tag):
    events = EventAccumulator(str(run.tensorboard)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


class Recorder(Callback):
    def __init__(self):
        self.events = []

    def on_train_start(self, run):
        self.events.append("start")

    def on_epoch_end(self, progress):
        self.events.append(progress.record["epoch"])

    def on_train_end(self, result):
        self.events.append(result.finished)


def test_keyword_options_callbacks_and_result(options, tmp_path):
    recorder, reports = Recorder(), []
    keywords = {name: value for name, value in asdict(options).items() if value is not None} | {"epochs": 2}
    result = train(run=tmp_path / "run", callbacks=[recorder, ProgressCallback(reports.append)], **keywords)
    assert recorder.events == ["start", 1, 2, True]
    assert [report.iteration for report in reports if report.record] == [10, 20]
    assert result.to_dict() == {
        "run": str(tmp_path / "run"),
        "finished": True,
        "iteration": 20,
        "epochs": 2,
        "best": result.best,
    }
    assert result._repr_html_().count("<tr>") == 3
    assert "val_accuracy" in result._repr_html_()


def test_options_and_keywords_are_combined(options, tmp_path):
    assert len(train(options, tmp_path / "run", epochs=1).log) == 1
    with pytest.raises(TypeError, match="hue"):
        train(options, tmp_path / "other", hue=0.1)
    assert not (tmp_path / "other").exists()


def test_loss_and_lr_are_logged_at_epoch_ends_and_lr_drops(trained):
    """Iterations 10, 20 and 30 end epochs; the learning rate drops after iterations 18 and 26."""
    assert [step for step, _ in curve(trained.run, "train/loss")] == [10, 19, 20, 27, 30]
    lr = [value for _, value in curve(trained.run, "train/lr")]
    assert lr == pytest.approx([0.01, 0.001, 0.001, 0.0001, 0.0001])


def test_average_loss_smooths_the_training_curve(options, tmp_path):
    same = replace(options, epochs=1)
    single = train(replace(same, solver_text="display: 1"), tmp_path / "single")
    smooth = train(replace(same, solver_text="display: 1 average_loss: 4"), tmp_path / "smooth")
    losses = [value for _, value in curve(single.run, "train/loss")]
    expected = [sum(losses[max(0, i - 3) : i + 1]) / min(i + 1, 4) for i in range(10)]
    assert [value for _, value in curve(smooth.run, "train/loss")] == pytest.approx(expected, rel=1e-5)
    assert smooth.log == single.log


def test_the_seed_is_taken_from_the_solver_if_no_seed_is_given(options):
    assert build_recipe(replace(options, solver_text="random_seed: 7"), 150, 7).seed == 7
    assert build_recipe(replace(options, solver_text="random_seed: 7", seed=3), 150, 7).seed == 3
    assert build_recipe(replace(options, solver_text="random_seed: -1"), 150, 7).seed == 0


def test_the_first_batch_is_saved_once(options, trained):
    saved = load_file(trained.run.path / FIRST_BATCH)
    assert saved["faces"].shape == (15, 1, 42, 42)
    assert saved["faces"].dtype == torch.float32
    assert saved["labels"].shape == (15,)
    before = (trained.run.path / FIRST_BATCH).stat().st_mtime_ns
    resume(trained.run.path)
    assert (trained.run.path / FIRST_BATCH).stat().st_mtime_ns == before


def test_ignored_fields_of_the_users_solver_are_named_in_one_line(small_net):
    assert describe_ignored_fields(TrainOptions(model="fer_mini")) is None
    line = describe_ignored_fields(TrainOptions(model="fer_mini", solver_text="snapshot: 5 solver_mode: CPU"))
    assert line == (
        "solver fields without effect: snapshot (train saves a snapshot to the run folder after every epoch); "
        "solver_mode (train uses --device)"
    )
    line = describe_ignored_fields(TrainOptions(model=str(small_net)))
    assert "test_iter" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixup: -1", "mixup is -1"),
        ("ema_decay: 1", "ema_decay is 1"),
        ("cosine_cycles: 0", "cosine_cycles is 0"),
        ("early_stop_patience: -1", "early_stop_patience is -1"),
        ("class_weight: 1", "1 class weights for 7 classes"),
        ("temperature: 3", "temperature set without a teacher"),
        ("label_smoothing: 1", "label_smoothing is 1"),
    ],
)
def test_an_invalid_recipe_is_rejected_before_anything_is_written(options, tmp_path, text, message):
    with pytest.raises(RunError, match=message):
        train(replace(options, solver_text=text), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_empty_training_split_is_rejected(options, stripes_data):
    with pytest.raises(RunError, match="empty"):
        validate_recipe(build_recipe(options, 0, 7), DataSet.open(stripes_data))
