"""Caffe's solvers as torch optimizers that anyone can use alone.

Each rule exists twice: in Caffe's own order of operations, so that rounding too is Caffe's, and, where torch has one,
as a fused kernel that reads and writes the memory once. A parameter group knows `lr_mult` and `decay_mult`, as a
Caffe layer's `param { }` does. A step uses the gradients up, as it does in Caffe: they hold other values afterwards.
"""

from prototxt_like.solver.optimizers.adadelta import AdaDelta
from prototxt_like.solver.optimizers.adagrad import AdaGrad
from prototxt_like.solver.optimizers.adam import Adam, AdamW
from prototxt_like.solver.optimizers.base import CaffeOptimizer
from prototxt_like.solver.optimizers.rmsprop import RMSProp
from prototxt_like.solver.optimizers.sgd import SGD, Nesterov

OPTIMIZERS: dict[str, type[CaffeOptimizer]] = {
    "SGD": SGD,
    "Nesterov": Nesterov,
    "AdaGrad": AdaGrad,
    "RMSProp": RMSProp,
    "AdaDelta": AdaDelta,
    "Adam": Adam,
    "AdamW": AdamW,
}

__all__ = ["OPTIMIZERS", "SGD", "AdaDelta", "AdaGrad", "Adam", "AdamW", "CaffeOptimizer", "Nesterov", "RMSProp"]
