"""Tests of Caffe's update rules against numpy formulas, and of torch's optimizer interface."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from prototxt_like.errors import SolverError
from prototxt_like.solver.optimizers import OPTIMIZERS, SGD, Adam, CaffeOptimizer, RMSProp

RATES = [0.1, 0.1, 0.01, 0.05, 0.0, 0.02]
SHAPES = [(2, 3, 5, 7), (11,)]
ArrayStep = Callable[[np.ndarray, np.ndarray, list[np.ndarray], float, int], np.ndarray]


def sgd(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    h[0] = 0.9 * h[0] + rate * g
    return h[0]


def nesterov(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    old, h[0] = h[0], 0.9 * h[0] + rate * g
    return 1.9 * h[0] - 0.9 * old


def adagrad(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    h[0] = h[0] + g * g
    return rate * g / (np.sqrt(h[0]) + 1e-3)


def rmsprop(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    h[0] = 0.98 * h[0] + (1 - 0.98) * g * g
    return rate * g / (np.sqrt(h[0]) + 1e-3)


def adadelta(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    h[0] = 0.95 * h[0] + 0.05 * g * g
    update = g * np.sqrt((h[1] + 1e-3) / (h[0] + 1e-3))
    h[1] = 0.95 * h[1] + 0.05 * update * update
    return rate * update


def adam(g: np.ndarray, w: np.ndarray, h: list[np.ndarray], rate: float, t: int) -> np.ndarray:
    h[0] = 0.9 * h[0] + 0.1 * g
    h[1] = 0.99 * h[1] + 0.01 * g * g
    return rate * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * h[0] / (np.sqrt(h[1]) + 1e-3)


RULES: dict[str, tuple[ArrayStep, dict[str, float]]] = {
    "SGD": (sgd, {"momentum": 0.9}),
    "Nesterov": (nesterov, {"momentum": 0.9}),
    "AdaGrad": (adagrad, {"delta": 1e-3}),
    "RMSProp": (rmsprop, {"rms_decay": 0.98, "delta": 1e-3}),
    "AdaDelta": (adadelta, {"momentum": 0.95, "delta": 1e-3}),
    "Adam": (adam, {"momentum": 0.9, "momentum2": 0.99, "delta": 1e-3}),
}


def tensors(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in SHAPES]


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def groups(params: list[torch.Tensor]) -> list[dict[str, Any]]:
    return [{"params": params[:1]}, {"params": params[1:], "lr_mult": 2.0, "decay_mult": 0.5}]


def run(optimizer: CaffeOptimizer, params: list[torch.Tensor], steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = RATES[step]
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        optimizer.step()


def expected(name: str, decay: float, regularization: str) -> list[np.ndarray]:
    rule, _ = RULES[name]
    weights = [p.detach().numpy().copy() for p in tensors()]
    histories = [[np.zeros(shape), np.zeros(shape)] for shape in SHAPES]
    for step, rate in enumerate(RATES):
        for i, (lr_mult, decay_mult) in enumerate([(1.0, 1.0), (2.0, 0.5)]):
            pull = weights[i] if regularization == "L2" else np.sign(weights[i])
            gradient = gradients(step)[i].numpy() + decay * decay_mult * pull
            weights[i] = weights[i] - rule(gradient, weights[i], histories[i], rate * lr_mult, step + 1)
    return weights


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("regularization", ["L2", "L1"])
@pytest.mark.parametrize("name", RULES)
def test_rule_with_changing_rate_multipliers_and_decay(name: str, regularization: str, fused: bool) -> None:
    params = tensors()
    options = {"weight_decay": 0.03, "regularization_type": regularization, "fused": fused}
    run(OPTIMIZERS[name](groups(params), 0.1, **options, **RULES[name][1]), params, range(len(RATES)))
    for parameter, weight in zip(params, expected(name, 0.03, regularization), strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resume_from_state_dict_is_bit_exact(name: str) -> None:
    whole = tensors(torch.float32)
    momentum = {} if name in ("AdaGrad", "RMSProp") else {"momentum": 0.9}
    optimizer = OPTIMIZERS[name](groups(whole), 0.1, weight_decay=0.01, **momentum)
    run(optimizer, whole, range(3))
    saved = copy.deepcopy(optimizer.state_dict())
    halves = [p.detach().clone().requires_grad_() for p in whole]
    resumed = OPTIMIZERS[name](groups(halves), 0.7)
    resumed.load_state_dict(saved)
    run(optimizer, whole, range(3, 6))
    run(resumed, halves, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resume_needs_only_the_state_of_the_parameters(name: str) -> None:
    """A snapshot may omit the groups, which follow from the solver parameter."""
    whole = tensors(torch.float32)
    momentum = {} if name in ("AdaGrad", "RMSProp") else {"momentum": 0.9}
    optimizer = OPTIMIZERS[name](groups(whole), 0.1, weight_decay=0.01, **momentum)
    run(optimizer, whole, range(3))
    halves = [p.detach().clone().requires_grad_() for p in whole]
    resumed = OPTIMIZERS[name](groups(halves), 0.7, weight_decay=0.01, **momentum)
    saved = copy.deepcopy(optimizer.state_dict()["state"])
    resumed.load_state_dict({"state": saved, "param_groups": resumed.state_dict()["param_groups"]})
    run(optimizer, whole, range(3, 6))
    run(resumed, halves, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True))


@pytest.mark.parametrize("name", RULES)
def test_resume_from_history(name: str) -> None:
    whole = tensors()
    optimizer = OPTIMIZERS[name](groups(whole), 0.1, **RULES[name][1])
    run(optimizer, whole, range(3))
    halves = [p.detach().clone().requires_grad_() for p in whole]
    resumed = OPTIMIZERS[name](groups(halves), 0.7, **RULES[name][1])
    for old, new in zip(whole, halves, strict=True):
        resumed.set_history(new, optimizer.history(old), updates=3)
    run(optimizer, whole, range(3, 6))
    run(resumed, halves, range(3, 6))
    for a, b in zip(whole, halves, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_history_of_sgd_is_caffes_velocity() -> None:
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = SGD([weight], lr=0.5, momentum=0.9)
    assert torch.equal(optimizer.history(weight)[0], torch.zeros(3, dtype=torch.float64))
    before = weight.detach().clone()
    weight.grad = torch.full((3,), 2.0, dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(optimizer.history(weight)[0], before - weight.detach())


def test_a_group_with_lr_mult_0_is_frozen() -> None:
    params = tensors()
    original = params[1].detach().clone()
    optimizer = SGD([{"params": params[:1]}, {"params": params[1:], "lr_mult": 0.0}], 0.1, weight_decay=0.5)
    run(optimizer, params, range(3))
    assert torch.equal(params[1], original)
    assert not torch.equal(params[0], tensors()[0])


def test_a_gradient_with_another_memory_layout() -> None:
    plain, channels_last = tensors(), tensors()
    run(SGD(plain, 0.1, momentum=0.9, fused=True), plain, range(2))
    optimizer = SGD(channels_last, 0.1, momentum=0.9, fused=True)
    for step in range(2):
        for parameter, gradient in zip(channels_last, gradients(step), strict=True):
            is_image = gradient.dim() == 4
            parameter.grad = gradient.to(memory_format=torch.channels_last) if is_image else gradient
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(plain, channels_last, strict=True))


def test_a_parameter_in_channels_last() -> None:
    plain = tensors()
    other = [p.detach().clone() for p in plain]
    other[0] = other[0].to(memory_format=torch.channels_last)
    other = [p.requires_grad_() for p in other]
    for params in (plain, other):
        run(SGD(params, 0.1, momentum=0.9, weight_decay=0.1, fused=True), params, range(3))
    assert not other[0].is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@pytest.mark.parametrize("fused", [True, False])
def test_adamw_decays_the_weight_and_not_the_gradient(fused: bool) -> None:
    weight = torch.tensor([2.0, -3.0], dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS["AdamW"]([weight], 0.1, weight_decay=0.5, fused=fused)
    weight.grad = torch.zeros(2, dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([2.0, -3.0], dtype=torch.float64) * 0.95)


def test_the_fused_kernel_runs_where_torch_has_one() -> None:
    fused = {name: cls(tensors(), 0.1, fused=True).param_groups[0]["fused"] for name, cls in OPTIMIZERS.items()}
    assert [name for name, runs in fused.items() if not runs] == ["RMSProp", "AdaDelta"]
    assert not SGD(tensors(), 0.1).param_groups[0]["fused"]


def test_torch_schedulers_and_closures_work() -> None:
    params = tensors()
    optimizer = SGD(params, 0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = sum((p * p).sum() for p in params)
        loss.backward()
        return loss

    first = optimizer.step(closure)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert optimizer.step(closure) < first


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p, 0.1, momentum=1.0), "invalid momentum: found 1.0, expected at least 0 and less than 1"),
        (lambda p: Adam(p, 0.1, momentum2=-1.0), "invalid momentum2: found -1.0"),
        (lambda p: RMSProp(p, 0.1, rms_decay=1.5), "invalid rms_decay: found 1.5"),
        (lambda p: SGD(p, 0.1, regularization_type="L3"), 'unknown regularization_type "L3"; use "L2" or "L1"'),
    ],
)
def test_invalid_options_are_rejected(make: Callable[[list[torch.Tensor]], CaffeOptimizer], message: str) -> None:
    with pytest.raises(SolverError, match=message):
        make(tensors())


@pytest.mark.parametrize("fused", [False, True])
def test_resume_from_a_contiguous_state(fused):
    torch.manual_seed(0)
    start, gradients = torch.randn(5, 3, 2, 4), [torch.randn(5, 3, 2, 4) for _ in range(4)]

    def steps(optimizer, parameter, gradients):
        for gradient in gradients:
            parameter.grad = gradient.clone(memory_format=torch.channels_last)
            optimizer.step()

    def fresh(values):
        parameter = torch.nn.Parameter(values.clone(memory_format=torch.channels_last))
        return parameter, OPTIMIZERS["SGD"]([parameter], 0.1, momentum=0.9, fused=fused)

    whole, optimizer = fresh(start)
    steps(optimizer, whole, gradients)
    half, optimizer = fresh(start)
    steps(optimizer, half, gradients[:2])
    state = optimizer.state_dict()
    for values in state["state"].values():
        values.update({name: v.contiguous() for name, v in values.items() if isinstance(v, torch.Tensor)})
    resumed, optimizer = fresh(half.detach())
    optimizer.load_state_dict(state)
    steps(optimizer, resumed, gradients[2:])
    assert torch.equal(resumed, whole)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["SGD", "Nesterov"])
def test_the_history_without_momentum_is_the_last_update(name: str, fused: bool) -> None:
    params = tensors()
    optimizer = OPTIMIZERS[name](params, 0.1, weight_decay=0.5, fused=fused)
    run(optimizer, params, range(1))
    before = [parameter.detach().clone() for parameter in params]
    run(optimizer, params, range(1, 2))
    for parameter, old in zip(params, before, strict=True):
        (history,) = optimizer.history(parameter)
        assert history.abs().max() > 0
        torch.testing.assert_close(history, old - parameter.detach())
