from __future__ import annotations

import pytest

from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import recipe
from fer_lmdb.training.options import TrainOptions


def test_150_epochs_reproduce_the_reference_schedule():
    plan = recipe.build_recipe(TrainOptions(epochs=150), epoch_size=32298, classes=7)
    assert plan.iterations == 75699  # the reference rounded this up to 76,000
    assert list(plan.solver.stepvalue) == [45419, 64344]
    assert (plan.batch_size, plan.solver.momentum) == (64, pytest.approx(0.9))


def test_the_solver_file_sets_the_default_length():
    plan = recipe.build_recipe(TrainOptions(), epoch_size=32298, classes=7)
    assert (plan.iterations, list(plan.solver.stepvalue)) == (76000, [45600, 64600])


def test_an_epoch_ends_with_its_last_face():
    plan = recipe.build_recipe(TrainOptions(epochs=3, batch_size=4), epoch_size=10, classes=7)
    assert plan.iterations == 8
    ends = {iteration: plan.epoch_ending_at(iteration) for iteration in range(1, 9)}
    assert {iteration: epoch for iteration, epoch in ends.items() if epoch} == {3: 1, 5: 2, 8: 3}


def test_classes_set_the_last_layer_of_both_nets():
    plan = recipe.build_recipe(TrainOptions(), epoch_size=10, classes=6)
    for net in (plan.net, plan.deploy):
        outputs = [layer.inner_product_param.num_output for layer in net.layer if layer.type == "InnerProduct"]
        assert outputs == [2048, 1024, 6]


def test_a_recipe_round_trips_through_its_folder(tmp_path):
    plan = recipe.build_recipe(TrainOptions(epochs=2, base_lr=0.02, seed=5), epoch_size=100, classes=7)
    folder = RunFolder(tmp_path)
    plan.write(folder)
    folder.write_config(plan.to_dict())
    assert recipe.load_recipe(folder, folder.read_config()) == plan


def test_an_unknown_net_suggests_the_closest_name():
    with pytest.raises(Exception, match='did you mean "face_emotion_net"'):
        recipe.build_recipe(TrainOptions(model="face_emotion"), epoch_size=10, classes=7)


def test_iter_size_shortens_epochs():
    options = TrainOptions(model="face_emotion_net", epochs=3, batch_size=5, solver_text="iter_size: 2")
    plan = recipe.build_recipe(options, epoch_size=100, classes=7)
    assert (plan.iterations, plan.samples_per_update, plan.epochs) == (30, 10, 3)
    assert [plan.epoch_ending_at(iteration) for iteration in (10, 15, 20, 30)] == [1, None, 2, 3]
