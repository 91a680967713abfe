"""Base class of LSTM and RNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer, count
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class Recurrent(Layer):
    """Layer that is unrolled over time, the first axis of its first bottom.

    Bottoms: x (T, N, ...); cont (T, N), 0 at the start of a sequence; optionally a static input (N, ...); with
    ``expose_hidden`` the initial states, (1, N, num_output) each.
    Tops: outputs (T, N, num_output); with ``expose_hidden`` the final states.

    Without ``expose_hidden``, a batch continues from the states of the last batch of the same size, unless ``cont`` is
    0; ``reset`` clears the states. As in Caffe, no gradient flows between batches, and thus none through states that
    are bottoms or tops.
    """

    min_bottoms = 2
    max_bottoms = None
    max_tops = None
    parameter_field = "recurrent_param"
    restrictions = (
        "`debug_info` has no effect.",
        "A batch of another size than the last one starts from zero states. torch.export needs a fixed batch size.",
    )
    states: ClassVar[tuple[str, ...]] = ()

    def setup(self, parameter: LayerParameter) -> None:
        """Check bottoms and tops and create the blobs."""
        options = self.layer_param(parameter)
        self.num_output: int = options.num_output
        self.expose_hidden: bool = options.expose_hidden
        if self.num_output <= 0:
            self.fail("num_output must be positive")
        exposed = len(self.states) if self.expose_hidden else 0
        self._check_count("bottom", len(self.bottom_shapes), 2 + exposed, 3 + exposed)
        self._check_count("top", self.top_count, 1 + exposed, 1 + exposed)
        self.has_static = len(self.bottom_shapes) == 3 + exposed
        self._check_bottoms(exposed)
        steps, streams = self.bottom_shapes[0][:2]
        self.add_blobs(options)
        state = (1, streams, self.num_output)
        self.top_shapes = [(steps, streams, self.num_output)] + [state] * exposed
        for name in self.states:
            self.context.reserve(state, self.display_name)
            self.register_buffer(name, torch.zeros(state), persistent=False)

    def _check_bottoms(self, exposed: int) -> None:
        x, cont = self.bottom_shapes[:2]
        if len(x) < 2 or cont != x[:2]:
            self.fail_shape(
                f"bottom 0 must be T x N x ... and bottom 1 T x N, found {format_shape(x)} and {format_shape(cont)}"
            )
        if len(x) < 3:
            self.fail_shape(f"bottom 0 needs features after time and stream, found {format_shape(x)}")
        if self.has_static and (len(self.bottom_shapes[2]) < 2 or self.bottom_shapes[2][0] != x[1]):
            self.fail_shape(f"the static input must be {x[1]} x features, found {format_shape(self.bottom_shapes[2])}")
        state = (1, x[1], self.num_output)
        for shape in self.bottom_shapes[len(self.bottom_shapes) - exposed :]:
            if exposed and shape != state:
                self.fail_shape(f"the states must be {format_shape(state)}, found {format_shape(shape)}")

    def add_matrix(self, name: str, rows: int, columns: int, options: Any) -> None:
        """Create a weight matrix."""
        self.add_blob(name, (rows, columns), options.weight_filler)

    def add_blobs(self, options: Any) -> None:
        """Create the blobs in Caffe's order."""
        raise NotImplementedError

    def features(self, bottom: int, axis: int) -> int:
        """Return the number of features of a bottom from an axis."""
        return count(self.bottom_shapes[bottom], axis)

    def reset(self) -> None:
        """Set the states to zero."""
        for name in self.states:
            getattr(self, name).zero_()

    def forward(self, x: Tensor, cont: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Unroll the layer over time."""
        static = others[0] if self.has_static else None
        states = others[self.has_static :] if self.expose_hidden else self._stored_states(x)
        # (T, N, ...) -> (T, N, features)
        outputs, last = self.unroll(x.flatten(2), cont.detach(), static, [state[0].detach() for state in states])
        if self.expose_hidden:
            return torch.stack(outputs), *(state.detach().unsqueeze(0) for state in last)
        self._store_states(last)
        return torch.stack(outputs)

    def unroll(
        self, x: Tensor, cont: Tensor, static: Tensor | None, states: list[Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Return all outputs and the last states.

        Args:
            x: (T, N, features) input.
            cont: (T, N), 0 at the start of a sequence.
            static: (N, ...) static input, or None.
            states: Initial states, (N, num_output) each.
        """
        raise NotImplementedError

    def _stored_states(self, x: Tensor) -> list[Tensor]:
        states = [getattr(self, name) for name in self.states]
        if states[0].shape[1] == x.shape[1]:
            return [state.clone() for state in states]
        return [x.new_zeros(1, x.shape[1], self.num_output) for _ in states]

    @torch.no_grad()
    def _store_states(self, last: tuple[Tensor, ...]) -> None:
        for name, state in zip(self.states, last, strict=True):
            buffer = getattr(self, name)
            if buffer.shape[1] == state.shape[0]:
                buffer.copy_(state.unsqueeze(0))
            else:
                setattr(self, name, state.detach().unsqueeze(0).clone())
