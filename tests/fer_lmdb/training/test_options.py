"""Options set the matching fields, in the unit of the field."""

from __future__ import annotations

import dataclasses

import pytest

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training import overrides, recipe
from fer_lmdb.training.options import TrainOptions


def plan(**wanted):
    return recipe.build_recipe(TrainOptions(**{"model": "fer_mini", "batch_size": 100, **wanted}), 1000, 7)


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"base_lr": 0.5, "min_lr": 0.25}, {"base_lr": 0.5, "min_lr": 0.25}),
        ({"lr_policy": "plateau", "plateau_patience": 3, "plateau_factor": 0.5},
         {"lr_policy": "plateau", "plateau_patience": 3, "plateau_factor": 0.5}),
        ({"cosine_cycles": 4}, {"cosine_cycles": 4}),
        ({"warmup_epochs": 1.5, "save_every": 2}, {"warmup_iter": 15, "keep_every": 20}),
        ({"momentum": 0.5, "weight_decay": 0.25, "clip_gradients": 2.0, "ema_decay": 0.5},
         {"momentum": 0.5, "weight_decay": 0.25, "clip_gradients": 2.0, "ema_decay": 0.5}),
        ({"label_smoothing": 0.25, "mixup": 0.5, "cutmix": 2.0, "mix_until": 0.75, "soft_labels": "majority"},
         {"label_smoothing": 0.25, "mixup": 0.5, "cutmix": 2.0, "mix_until": 0.75, "soft_labels": "majority"}),
        ({"teachers": ["a", "b"], "distill_weight": 0.75, "distill_temperature": 4.0, "distill_mode": "online"},
         {"teacher": ["a", "b"], "teacher_weight": 0.75, "temperature": 4.0, "teacher_sees": "batches"}),
        ({"teachers": ["a"], "teacher_data": ["b", "c"]}, {"teacher": ["a"], "teacher_data": ["b", "c"]}),
        ({"early_stop_patience": 7, "monitor": "accuracy", "min_delta": 0.5},
         {"early_stop_patience": 7, "monitor": "accuracy", "min_delta": 0.5}),
        ({"class_weights": "inverse-root"}, {"class_weighting": "inverse_root", "class_weight": []}),
        ({"class_weights": "1,2.5,1,1,1,1,1"}, {"class_weighting": "", "class_weight": [1, 2.5, 1, 1, 1, 1, 1]}),
        ({"optimizer": "adamw"}, {"type": "AdamW", "momentum": pytest.approx(0.9)}),
        ({"optimizer": "rmsprop"}, {"type": "RMSProp", "momentum": 0}),
        ({"solver_text": "average_loss: 20 display: 7"}, {"average_loss": 20, "display": 7}),
        ({"epochs": 4, "lr_policy": "multistep"}, {"max_iter": 40, "stepvalue": [24, 34], "gamma": pytest.approx(0.1)}),
        ({"lr_policy": "poly"}, {"lr_policy": "poly", "power": 1.0}),
    ],
)  # fmt: skip
def test_options_set_solver_fields(wanted, fields):
    solver = plan(**wanted).solver
    found = {name: getattr(solver, name) for name in fields}
    assert {name: list(value) if isinstance(fields[name], list) else value for name, value in found.items()} == fields


@pytest.mark.parametrize("name", overrides.TRANSFORM_FIELDS)
def test_augmentation_options_set_the_train_transform_only(name):
    value = False if name == "mirror" else 0.25
    net = plan(**{name: value}).net
    assert getattr(pl.data_layer(net, "TRAIN").transform_param, overrides.TRANSFORM_FIELDS[name]) == value
    assert not getattr(pl.data_layer(net, "TEST").transform_param, overrides.TRANSFORM_FIELDS[name])


def test_default_options_keep_the_solver_file():
    as_written = pl.read_solver(pl.zoo.path("fer_mini") / "solver.prototxt")
    found = recipe.build_recipe(TrainOptions(model="fer_mini"), 28709, 7).solver
    found.ClearField("random_seed")
    assert found == as_written


def test_stepvalues_of_the_file_are_used_without_epochs():
    assert list(recipe.build_recipe(TrainOptions(), 32298, 7).solver.stepvalue) == [45600, 64600]
    assert list(recipe.build_recipe(TrainOptions(lr_policy="multistep"), 32298, 7).solver.stepvalue) == [45600, 64600]


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "adamw", "adagrad", "rmsprop", "adadelta"])
def test_every_optimizer_can_be_built(name):
    net = pl.Net(
        pl.parse_net(
            """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
            layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 2 } }"""
        ),
        phase="TRAIN",
    )
    assert pl.Solver(plan(optimizer=name).solver, net)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"momentum": 1.0}, "--momentum: found 1.0, expected a number of at least 0 and below 1"),
        ({"clip_gradients": 0.0}, "--clip-gradients: found 0.0, expected a number above 0"),
        ({"warmup_epochs": -1.0}, "--warmup-epochs: found -1.0, expected a number from 0"),
        ({"batch_size": 0}, "--batch-size: found 0, expected an integer from 1"),
        ({"base_lr": float("nan")}, "--base-lr: found nan, expected a number above 0"),
        ({"plateau_factor": 2.0}, "--plateau-factor: found 2.0, expected a number above 0 and below 1"),
        ({"seed": 10**300}, "--seed: found 1000.*, expected an integer from 0"),
        ({"save_every": 1e9}, "--save-every: found .* iterations, expected at most"),
        ({"class_weights": "1,nan"}, '--class-weights "1,nan": expected inverse'),
        ({"model": 3}, "--model: found 3, expected a text"),
        ({"lr_policy": "cosin"}, '--lr-policy "cosin": expected one of fixed'),
        ({"optimizer": "lamb"}, '--optimizer "lamb": expected one of sgd'),
        ({"class_weights": "often"}, '--class-weights "often": expected inverse'),
        ({"solver_text": "mixupp: 1"}, "--solver-text: .*mixup"),
        ({"train_splits": "test"}, '--train-splits "test"'),
    ],
)
def test_invalid_options_are_rejected(wanted, message):
    with pytest.raises(RunError, match=message):
        plan(**wanted)


def test_fields_and_command_line_options_match():
    from fer_lmdb.cli.train import command

    names = {parameter.name for parameter in command.params if hasattr(parameter, "group")}
    assert names == {field.name for field in dataclasses.fields(TrainOptions)} | {"run", "resume", "loader", "workers"}
