"""Teacher probabilities, checks of teachers, and the distillation loss."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import RunError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FERPLUS
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import distillation, loss_layers, recipe
from fer_lmdb.training.online_teachers import OnlineTeachers
from fer_lmdb.training.options import TrainOptions

SCORES = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))


def test_temperature_divides_the_logits():
    found = distillation.apply_temperature(torch.softmax(SCORES, dim=1), 2.5)
    assert torch.allclose(found, torch.softmax(SCORES / 2.5, dim=1), atol=1e-6)


@pytest.mark.parametrize(("weight", "temperature"), [(0.3, 1.0), (0.7, 4.0)])
def test_distillation_loss_matches_hinton_et_al(weight, temperature):
    """(1 - w) CE(labels) + w T T CE(teacher at T, student at T), with the gradient that follows from it."""
    text = """layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 1 } }
        layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }
        layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"
          inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" loss_weight: 2
          loss_param { soft_label: true } }"""
    solver = pl.parse_solver(f"teacher_weight: {weight} temperature: {temperature}")
    shapes = {"data": (5, 6, 1, 1), "label": (5, 4), "teacher": (5, 4)}
    net = pl.Net(loss_layers.add_distillation_loss(pl.parse_net(text), solver), phase="TRAIN", input_shapes=shapes)
    faces = torch.randn(5, 6, 1, 1, generator=torch.Generator().manual_seed(1))
    hard = F.one_hot(torch.tensor([0, 1, 2, 3, 1]), 4).float()
    probabilities = torch.softmax(SCORES / temperature, dim=1)
    found = net.total_loss(net(data=faces, label=hard, teacher=probabilities))
    scores = net.params["fc"][0] @ faces.flatten(1).T + net.params["fc"][1][:, None]
    second = F.cross_entropy(scores.T / temperature, probabilities) * temperature**2
    expected = 2 * ((1 - weight) * F.cross_entropy(scores.T, hard) + weight * second)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_offline_teachers_are_averaged_over_four_views(trained, stripes_data):
    members = [load_model(trained.run.best), load_model(trained.run.last)]
    images = torch.from_numpy(DataSet.open(stripes_data).read("val").images)
    variants = DataSetVariants.open([stripes_data])
    found = distillation.teacher_probabilities(members, variants, ["val"], 2.0, torch.device("cpu"))
    mean = np.mean([Classifier(member).probabilities(images, 4) for member in members], axis=0)
    expected = np.sqrt(mean) / np.sqrt(mean).sum(axis=1, keepdims=True)
    assert found.numpy() == pytest.approx(expected, abs=1e-5)


def test_a_repeated_teacher_has_twice_the_weight_and_runs_once(trained, stripes_data, monkeypatch):
    best, last = (str(path) for path in (trained.run.best, trained.run.last))
    sets = DataSetVariants.open([stripes_data])
    once = [
        distillation.teacher_probabilities(
            distillation.load_teachers([name], sets), sets, ["val"], 1.0, torch.device("cpu")
        )
        for name in (best, last)
    ]
    asked, vote = [], distillation._probabilities
    monkeypatch.setattr(distillation, "_probabilities", lambda model, *rest: asked.append(model) or vote(model, *rest))
    found = distillation.teacher_probabilities(
        distillation.load_teachers([best, last, best], sets), sets, ["val"], 1.0, torch.device("cpu")
    )
    assert len(asked) == 2
    assert found.numpy() == pytest.approx(((2 * once[0] + once[1]) / 3).numpy(), abs=1e-5)


def test_teachers_with_other_classes_or_preprocessing_are_rejected(trained, stripes_data, tmp_path):
    data = DataSetVariants.open([stripes_data])
    model = load_model(trained.run.path)
    replace(model, scheme=FERPLUS).save(tmp_path / "other.safetensors")
    with pytest.raises(RunError, match="its label scheme is not that of"):
        distillation.load_teachers([str(tmp_path / "other.safetensors")], data)
    replace(model, preprocessing=replace(model.preprocessing, detector="mtcnn")).save(tmp_path / "cut.safetensors")
    with pytest.raises(RunError, match="detector mtcnn"):
        distillation.load_teachers([str(tmp_path / "cut.safetensors")], data)


def plan_of(options, **solver_fields):
    plan = recipe.build_recipe(options, 150, 7)
    solver = pl.SolverParameter()
    solver.CopyFrom(plan.solver)
    solver.MergeFrom(pl.SolverParameter(**solver_fields))
    return replace(plan, solver=solver)


def test_online_teachers_need_the_input_of_the_student(options, trained, stripes_data):
    model = load_model(trained.run.path)
    plan = plan_of(options, temperature=1)
    mean = DataSet.open(stripes_data).mean()
    faces = torch.randn(3, 1, 42, 42, generator=torch.Generator().manual_seed(1))
    watching = OnlineTeachers([model], plan, mean, torch.device("cpu"))
    assert torch.allclose(watching(faces), Classifier(model).forward(faces), atol=1e-6)
    assert len(OnlineTeachers([model, model], plan, mean, torch.device("cpu")).classifiers) == 1
    last = load_model(trained.run.last)
    watching = OnlineTeachers([model, last, model], plan, mean, torch.device("cpu"))
    expected = (2 * Classifier(model).forward(faces) + Classifier(last).forward(faces)) / 3
    assert torch.allclose(watching(faces), expected, atol=1e-6)
    other = recipe.build_recipe(TrainOptions(model="fer_mini"), 150, 7)
    with pytest.raises(RunError, match=r"crop_size: 40.*--distill-mode offline"):
        OnlineTeachers([model], other, None, torch.device("cpu"))
    with pytest.raises(RunError, match="mean images differ"):
        OnlineTeachers([model], plan, mean + 1, torch.device("cpu"))


@pytest.mark.parametrize(
    "text",
    ["teacher_weight: 1.1", "temperature: 0", 'teacher_sees: "all"', 'teacher_sees: "batches" teacher_data: "b"'],
)
def test_invalid_distillation_fields_are_rejected(text):
    with pytest.raises(RunError, match=r"must be|expected one of|has no effect"):
        distillation.validate_teachers(pl.parse_solver(f'teacher: "a" {text}'))


def test_distillation_fields_require_a_teacher():
    with pytest.raises(RunError, match="teacher_weight and temperature set without a teacher; add --teacher"):
        distillation.validate_teachers(pl.parse_solver("temperature: 4 teacher_weight: 0.7"))
    distillation.validate_teachers(pl.parse_solver("base_lr: 0.1"))


def test_teacher_probabilities_are_cached(options, trained, stripes_data, tmp_path):
    teacher = tmp_path / "teacher.safetensors"
    shutil.copy(trained.run.best, teacher)
    plan = plan_of(options, teacher=[str(teacher)])
    data = DataSet.open(stripes_data)
    first = ask(plan, data, tmp_path)
    teacher.unlink()
    assert torch.equal(ask(plan, data, tmp_path), first)
    assert first.shape == (150, 7)


def ask(plan, data, folder):
    parts = {"train": data.read("train")}
    return distillation.cached_teacher_probabilities(
        plan, data, RunFolder(folder), parts, torch.device("cpu"), torch.float32
    )


def test_a_teacher_reads_the_variant_with_its_preprocessing(options, trained, stripes_data, negative_data, tmp_path):
    """The variant has another order; probabilities are returned in the order of the training data."""
    model = load_model(trained.run.path)
    replace(model, preprocessing=Preprocessing(detector="mtcnn")).save(tmp_path / "teacher.safetensors")
    plan = plan_of(options, teacher=[str(tmp_path / "teacher.safetensors")], temperature=1)
    data = DataSet.open(stripes_data)
    with pytest.raises(RunError, match=r"detector mtcnn, not none.*--teacher-data"):
        ask(plan, data, tmp_path)
    plan.solver.teacher_data.append(str(negative_data))
    expected = Classifier(model).probabilities(255 - data.read("train").images, distillation.TTA_VIEWS)
    assert ask(plan, data, tmp_path).numpy() == pytest.approx(expected, abs=1e-5)
