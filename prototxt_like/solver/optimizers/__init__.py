"""Caffe's update rules as torch optimizers.

Each rule has two implementations: Caffe's order of operations with identical rounding, and torch's fused kernel, if
there is one. Parameter groups support `lr_mult` and `decay_mult`, like `param { }` of a Caffe layer. ``step()``
overwrites the gradients, as in Caffe.
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
