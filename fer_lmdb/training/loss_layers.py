"""Loss layers of the TRAIN net: soft labels and the distillation loss.

The distillation loss is (1 - w) * cross-entropy with the labels + w * T * T * cross-entropy between the probabilities
of the teachers and of the net, both with their logits divided by the temperature T. The factor T * T keeps the
gradients of both terms in proportion.
Source: Hinton et al., Distilling the knowledge in a neural network (arXiv 1503.02531)
"""

from __future__ import annotations

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training.targets import uses_soft_targets

TEACHER_BLOB = "teacher"


def adapt_loss_layers(
    net: pl.NetParameter, solver: pl.SolverParameter, classes: int
) -> tuple[pl.NetParameter, dict[str, tuple[int, ...]]]:
    """Return the net with losses for the targets of the solver, and the input shapes that change.

    Raises:
        RunError: If the net has no SoftmaxWithLoss and the solver needs one.
    """
    if not uses_soft_targets(solver):
        return net, {}
    net = use_soft_labels(net)
    if solver.teacher:
        net = add_distillation_loss(net, solver)
    layer = pl.data_layer(net, "TRAIN")
    targets = list(layer.top)[1:]  # the label, and the teacher probabilities
    return net, dict.fromkeys(targets, (layer.data_param.batch_size, classes))


def softmax_losses(net: pl.NetParameter) -> list[pl.LayerParameter]:
    """Return the loss layers that accept distributions.

    Raises:
        RunError: If the net has none.
    """
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    if not losses:
        raise RunError(
            f'net "{net.name}" has no SoftmaxWithLoss layer; label smoothing, mixing, soft labels, class weights and '
            "teachers require one"
        )
    return losses


def use_soft_labels(net: pl.NetParameter) -> pl.NetParameter:
    """Return a copy of the net whose SoftmaxWithLoss layers take distributions instead of labels.

    Raises:
        RunError: If the net has no such loss.
    """
    copy = pl.NetParameter()
    copy.CopyFrom(net)
    for layer in softmax_losses(copy):
        layer.loss_param.soft_label = True
    return copy


def add_distillation_loss(net: pl.NetParameter, solver: pl.SolverParameter) -> pl.NetParameter:
    """Return a copy of the net with a distillation loss beside every SoftmaxWithLoss.

    The weight of each loss is divided between the two. The new losses read a new top of the data layer.

    Args:
        net: train_val net.
        solver: Reads teacher_weight and temperature.
    Raises:
        RunError: If the net has no SoftmaxWithLoss.
    """
    copy = pl.NetParameter()
    copy.CopyFrom(net)
    losses = softmax_losses(copy)  # before layers are added
    pl.data_layer(copy, "TRAIN").top.append(TEACHER_BLOB)
    for loss in losses:
        total = loss.loss_weight[0] if loss.loss_weight else 1.0
        _add_teacher_loss(copy, loss, total * solver.teacher_weight * solver.temperature**2, solver.temperature)
        loss.loss_weight[:] = [total * (1 - solver.teacher_weight)]
    return copy


def _add_teacher_loss(net: pl.NetParameter, loss: pl.LayerParameter, weight: float, temperature: float) -> None:
    scaled = net.layer.add(name=f"{loss.name}/temperature", type="Power", bottom=[loss.bottom[0]])
    scaled.top.append(scaled.name)
    scaled.power_param.scale = 1 / temperature
    second = net.layer.add(
        name=f"{loss.name}/{TEACHER_BLOB}", type="SoftmaxWithLoss", bottom=[scaled.name, TEACHER_BLOB]
    )
    second.top.append(second.name)
    second.loss_weight.append(weight)
    second.loss_param.soft_label = True
    for layer in (scaled, second):
        layer.include.add(phase="TRAIN")
