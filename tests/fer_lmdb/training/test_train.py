from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import prototxt_like as pl
from fer_lmdb.errors import DataSetError, DeviceError, RunError
from fer_lmdb.exporting.export import export
from fer_lmdb.labels import FER2013, MERGED, WITHOUT_DISGUST, LabelScheme
from fer_lmdb.models.registry import load_model
from fer_lmdb.runtime import device
from fer_lmdb.training import distillation, train
from fer_lmdb.training.init_weights import init_from_model
from fer_lmdb.training.snapshot import Snapshot


def curve(run, tag):
    events = EventAccumulator(str(run.tensorboard))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def weights_of(run):
    return load_file(run.last)


def assert_equal_weights(one, other):
    one, other = weights_of(one), weights_of(other)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_training_writes_a_complete_run_folder(trained, options):
    assert trained.finished
    assert trained.iteration == 30
    assert trained.best["val_accuracy"] > 0.4  # chance: 0.14
    assert [record["epoch"] for record in trained.log] == [1, 2, 3]
    config = trained.run.read_config()
    assert config["options"] == asdict(replace(options, seed=0))
    assert len(trained.run.log.read_text().splitlines()) == 3
    assert load_model(trained.run.path).metadata.epoch == trained.best


def test_multistep_drops_at_60_and_85_percent(trained):
    assert "stepvalue: 18" in (trained.run.path / "solver.prototxt").read_text()
    assert "stepvalue: 26" in (trained.run.path / "solver.prototxt").read_text()
    assert [record["lr"] for record in trained.log] == pytest.approx([0.01, 0.001, 0.0001])


def test_validation_curves_have_one_point_per_epoch(trained):
    assert [step for step, _ in curve(trained.run, "val/accuracy")] == [10, 20, 30]
    assert curve(trained.run, "val/loss")[-1][1] == pytest.approx(trained.log[-1]["val_loss"], rel=1e-5)


def test_the_seed_determines_the_weights(options, trained, tmp_path):
    again = train.train(options, tmp_path / "again")
    assert_equal_weights(again.run, trained.run)
    other = train.train(replace(options, seed=1, epochs=1), tmp_path / "other")
    assert not torch.equal(weights_of(other.run)["conv1/0"], weights_of(trained.run)["conv1/0"])


@pytest.mark.parametrize(("stop_at", "precision"), [(4, "float32"), (10, "float32"), (23, "bfloat16")])
def test_a_stopped_run_resumes_bit_identically(options, tmp_path, monkeypatch, stop_at, precision):
    options = replace(options, precision=precision)
    whole = train.train(options, tmp_path / "whole")
    step = train.Trainer.step

    def step_then_ctrl_c(trainer):
        result = step(trainer)
        if trainer.iteration == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(train.Trainer, "step", step_then_ctrl_c)
    stopped = train.train(options, tmp_path / "run")
    assert (stopped.finished, stopped.iteration) == (False, stop_at)
    monkeypatch.setattr(train.Trainer, "step", step)
    resumed = train.resume(tmp_path / "run")
    assert resumed.finished
    assert resumed.log == whole.log
    assert_equal_weights(resumed.run, whole.run)
    assert [step for step, _ in curve(resumed.run, "val/accuracy")] == [10, 20, 30]


def test_the_precision_is_decided_once_per_run(options, tmp_path, monkeypatch):
    """A run that is resumed on another processor computes on in the dtype that it was started with."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    started = train.train(replace(options, precision="auto", epochs=1), tmp_path / "run")
    assert started.run.read_config()["options"]["precision"] == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(device, "bfloat16_slowdown", lambda device_type: 18.0)
    dtypes = []
    monkeypatch.setattr(train, "_fit", lambda trainer, callbacks: dtypes.append(trainer.dtype))
    train.resume(tmp_path / "run")
    assert dtypes == [torch.bfloat16]


def test_a_killed_run_resumes_from_its_last_snapshot(options, trained, tmp_path):
    flags = [
        "--model",
        options.model,
        "--data",
        options.data,
        "--epochs",
        "3",
        "--batch-size",
        "15",
        "--precision",
        "float32",
        "--device",
        "cpu",
    ]
    command = [sys.executable, "-m", "fer_lmdb", "train", "--run", str(tmp_path / "run")]
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # another number rounds otherwise
    process = subprocess.Popen([*command, *flags], env=threads, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "run" / "snapshot.safetensors").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    resumed = train.resume(tmp_path / "run")
    assert resumed.finished
    assert resumed.log == trained.log
    assert_equal_weights(resumed.run, trained.run)


def test_init_from_a_model(options, trained, tmp_path):
    tuned = train.train(replace(options, epochs=1, init=str(trained.run.path), base_lr=1e-6), tmp_path / "tuned")
    assert tuned.best["val_accuracy"] > 0.4  # chance: 0.14


def test_init_from_a_caffemodel(options, trained, tmp_path):
    export(trained.run.path, tmp_path, "caffe")
    start = str(tmp_path / "small_net.caffemodel")
    tuned = train.train(replace(options, epochs=1, init=start, base_lr=1e-6), tmp_path / "tuned")
    assert tuned.best["val_accuracy"] > 0.4
    assert tuned.init_report.reinitialized == []
    assert load_model(tuned.run.path).metadata.init["source"] == start
    (tmp_path / "small_net.caffemodel").unlink()
    assert train.resume(tuned.run.path).init_report == tuned.init_report


def test_layers_missing_in_the_model_are_reported(trained, small_net):
    net = pl.Net(pl.zoo.set_num_classes(pl.read_net(small_net / "deploy.prototxt"), 5))
    filled = [blob.clone() for blob in net.params["fc3"]]
    initial = init_from_model(net, str(trained.run.path), LabelScheme("five", tuple("abcde")), reset_classifier=True)
    assert initial.reinitialized == ["fc3"]
    assert "conv1" in initial.loaded
    assert all(torch.equal(*pair) for pair in zip(net.params["fc3"], filled, strict=True))
    with pytest.raises(RunError, match="none of its layers"):
        init_from_model(pl.Net(pl.zoo.path("emonet") / "deploy.prototxt"), str(trained.run.path), FER2013)


def test_init_from_another_label_scheme_is_rejected(trained, small_net, tmp_path):
    net = pl.Net(pl.read_net(small_net / "deploy.prototxt"))
    mirrored = LabelScheme("mirrored", FER2013.classes[::-1])
    with pytest.raises(RunError, match=r"different order of classes.*--reset-classifier"):
        init_from_model(net, str(trained.run.path), mirrored)
    six = replace(load_model(trained.run.path), scheme=MERGED)
    six.save(tmp_path / "six.safetensors")
    with pytest.raises(RunError, match="merged maps disgust to angry and without-disgust excludes disgust"):
        init_from_model(net, str(tmp_path / "six.safetensors"), WITHOUT_DISGUST)


def test_reset_classifier_with_a_caffemodel(trained, small_net, tmp_path):
    export(trained.run.path, tmp_path, "caffe")
    net = pl.Net(pl.read_net(small_net / "deploy.prototxt"))
    filled = net.params["fc3"][0].clone()
    initial = init_from_model(net, str(tmp_path / "small_net.caffemodel"), FER2013, reset_classifier=True)
    assert initial.reinitialized == ["fc3"]
    assert torch.equal(net.params["fc3"][0], filled)
    assert torch.equal(net.params["conv1"][0], load_model(trained.run.path).weights["conv1/0"])


def test_training_on_train_and_val_uses_both_and_selects_the_last_epoch(options, tmp_path):
    result = train.train(replace(options, train_splits="train+val", epochs=1), tmp_path / "both")
    assert result.run.read_config()["epoch_size"] == 190
    assert "val_accuracy" not in result.best
    assert load_model(result.run.path).metadata.selected == "last epoch"


DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {0} }}
  transform_param {{ force_color: true mean_value: 100 mean_value: 120 mean_value: 130 scale: 0.01 }}
  data_param {{ batch_size: 15 }} }}
"""
BODY = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 9 stride: 4 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
"""
AUXILIARY = """layer { name: "extra" type: "InnerProduct" bottom: "conv" top: "extra" include { phase: TRAIN }
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "extra_loss" type: "SoftmaxWithLoss" bottom: "extra" bottom: "label" top: "extra_loss" loss_weight: 0.3
  include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
INPUT = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 48 dim: 48 } } }
"""


def test_a_net_of_three_channels_without_mean_image_and_with_a_second_classifier(options, tmp_path):
    folder = tmp_path / "colourful"
    folder.mkdir()
    (folder / "train_val.prototxt").write_text(DATA.format("TRAIN") + DATA.format("TEST") + BODY + AUXILIARY)
    prob = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
    (folder / "deploy.prototxt").write_text(INPUT + BODY + prob)
    (folder / "solver.prototxt").write_text('base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" max_iter: 10')
    result = train.train(replace(options, model=str(folder), epochs=3, batch_size=15, base_lr=0.01), tmp_path / "run")
    assert result.best["val_accuracy"] > 0.5
    model = load_model(result.run.path)
    assert model.mean is None
    assert sorted({key.split("/")[0] for key in model.weights}) == ["conv", "fc"]


def test_bfloat16(options, tmp_path):
    result = train.train(replace(options, precision="bfloat16"), tmp_path / "half")
    assert result.best["val_accuracy"] > 0.4
    assert weights_of(result.run)["fc1/0"].dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "--epochs: found 0, expected an integer from 1"),
        ({"batch_size": -1}, "--batch-size: found -1, expected"),
        ({"device": "nonsense"}, "invalid device: found .nonsense."),
        ({"base_lr": 1e30}, "--base-lr"),
    ],
)
def test_invalid_options_are_rejected_in_one_line(options, tmp_path, change, message):
    with pytest.raises((RunError, DeviceError), match=message):
        train.train(replace(options, **change), tmp_path / "run")


def test_a_rejected_run_leaves_no_files(options, trained, tmp_path):
    """Cached teacher probabilities are removed, since the next run of this name may have other teachers."""
    changes = {"teachers": [str(trained.run.best)], "lr_policy": "multistep", "cosine_cycles": 2}
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path / "run", tmp_path):
        with pytest.raises(RunError, match="2 cosine cycles require"):
            train.train(replace(options, **changes), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_that_fails_before_its_first_step_can_be_resumed(options, trained, tmp_path, monkeypatch):
    """Cached teacher probabilities are reused, since computing them may take minutes."""
    asked = replace(options, teachers=[str(trained.run.best)])
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(train, "TensorBoardLogger", Mock(side_effect=OSError(28, "No space left on device")))
        train.train(asked, tmp_path / "run")
    monkeypatch.setattr(distillation, "teacher_probabilities", Mock(side_effect=AssertionError("asked again")))
    assert train.resume(tmp_path / "run").finished


def test_a_run_is_not_resumed_on_another_data_set(options, trained, tmp_path):
    config = trained.run.read_config()
    config["data"]["sha256"]["train"] = "other"
    run = tmp_path / "run"
    run.mkdir()
    for name in ("solver", "train_val", "deploy"):
        (run / f"{name}.prototxt").write_bytes((trained.run.path / f"{name}.prototxt").read_bytes())
    (run / "run.json").write_text(json.dumps(config))
    with pytest.raises(DataSetError, match="not the data set"):
        train.resume(run)


def with_solver(options, tmp_path, text):
    """Return options of a copy of the net with more solver fields."""
    folder = tmp_path / "net"
    shutil.copytree(options.model, folder)
    with (folder / "solver.prototxt").open("a") as file:
        file.write(text)
    return replace(options, model=str(folder))


def test_a_run_with_extensions_resumes_bit_identically(options, tmp_path, monkeypatch):
    text = "label_smoothing: 0.1 mixup: 0.4 cutmix: 1 mix_probability: 0.8 ema_decay: 0.9 warmup_iter: 5"
    options = with_solver(options, tmp_path, text)
    whole = train.train(options, tmp_path / "whole")
    step = train.Trainer.step

    def step_then_ctrl_c(trainer):
        result = step(trainer)
        if trainer.iteration == 13:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(train.Trainer, "step", step_then_ctrl_c)
    train.train(options, tmp_path / "run")
    monkeypatch.setattr(train.Trainer, "step", step)
    assert_equal_weights(train.resume(tmp_path / "run").run, whole.run)


def test_a_diverged_checkpoint_is_not_saved(options, tmp_path, monkeypatch):
    update = pl.Solver.step

    def step_too_far(solver, loss):
        result = update(solver, loss)
        solver.net.params["conv1"][0].data.fill_(float("nan"))
        return result

    monkeypatch.setattr(pl.Solver, "step", step_too_far)
    with pytest.raises(RunError, match="conv1/0 became nan at iteration 5"):
        train.train(replace(options, save_every=0.5), tmp_path / "run")
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_a_checkpoint_is_saved_at_the_end_of_every_cycle(options, tmp_path):
    options = replace(options, lr_policy="cosine", cosine_cycles=3, min_lr=0.0)
    result = train.train(options, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "00000010.safetensors",
        "00000020.safetensors",
        "00000030.safetensors",
    ]
    assert [record["lr"] for record in result.log] == pytest.approx([result.log[0]["lr"]] * 3)
    facts = load_model(tmp_path / "run" / "checkpoints" / "00000020.safetensors").metadata
    assert (facts.selected, facts.epoch) == ("checkpoint after iteration 20", {"iteration": 20})
    last = load_model(result.run.last).metadata
    assert (last.selected, last.epoch) == ("newest", result.log[-1])
    assert torch.equal(
        load_file(tmp_path / "run" / "checkpoints" / "00000030.safetensors")["conv1/0"],
        weights_of(result.run)["conv1/0"],
    )


def test_a_run_with_votes_class_weights_and_teachers_resumes_bit_identically(
    options, voted_data, tmp_path, monkeypatch
):
    teacher = train.train(replace(options, data=str(voted_data), epochs=1), tmp_path / "teacher").run.best
    options = replace(
        options,
        data=str(voted_data),
        epochs=2,
        soft_labels="probability",
        class_weights="inverse-root",
        teachers=[str(teacher)],
        mixup=0.4,
        mix_until=0.7,
        clip_gradients=5.0,
    )
    whole = train.train(options, tmp_path / "whole")
    assert whole.best["val_accuracy"] > 0.3  # chance: 0.14
    stop_after(13, monkeypatch)
    train.train(options, tmp_path / "run")
    monkeypatch.undo()
    teacher.unlink()  # what it said is in the run folder
    assert_equal_weights(train.resume(tmp_path / "run").run, whole.run)


def test_online_distillation(options, trained, tmp_path):
    options = replace(options, epochs=1, teachers=[str(trained.run.best)], distill_mode="online", distill_weight=1.0)
    assert train.train(options, tmp_path / "run").best["val_accuracy"] > 0.2  # chance: 0.14
    assert not (tmp_path / "run" / "teacher_probabilities.safetensors").exists()


def stop_after(iteration, monkeypatch):
    """Send SIGINT to the training process after an iteration."""
    step = train.Trainer.step

    def step_then_ctrl_c(trainer):
        result = step(trainer)
        if trainer.iteration == iteration:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(train.Trainer, "step", step_then_ctrl_c)


def test_the_model_holds_the_averaged_weights(options, tmp_path):
    options = with_solver(replace(options, epochs=1), tmp_path, "ema_decay: 0.5")
    result = train.train(options, tmp_path / "run")
    snapshot = Snapshot.read(result.run).tensors
    model = weights_of(result.run)
    assert torch.equal(model["fc3/0"], snapshot["average/fc3/0"])
    own = next(value for key, value in snapshot.items() if key.startswith("net/") and value.shape == (7, 128))
    assert not torch.equal(model["fc3/0"], own)


def test_early_stopping(options, tmp_path):
    options = with_solver(replace(options, epochs=20, base_lr=1e-9), tmp_path, "early_stop_patience: 2 min_delta: 10")
    result = train.train(options, tmp_path / "run")
    assert result.finished
    assert len(result.log) == 3
    assert train.resume(tmp_path / "run").iteration == result.iteration


def test_reduce_on_plateau(options, tmp_path):
    text = "plateau_patience: 1 plateau_factor: 0.5 min_delta: 10"
    options = with_solver(replace(options, epochs=4), tmp_path, text)
    solver = tmp_path / "net" / "solver.prototxt"
    solver.write_text(solver.read_text().replace('"multistep"', '"plateau"'))
    result = train.train(options, tmp_path / "run")
    assert [record["lr"] for record in result.log] == pytest.approx([0.01, 0.01, 0.005, 0.0025])
