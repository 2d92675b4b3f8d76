"""Base class of heads that change the conditionals of another head."""

from typing import Any

import tensorflow as tf

from tfar.heads.base import Head
from tfar.heads.support import Support


class Wrapper(Head):
    """Head with the parameters, values and noise of another head.

    Args:
        head: the inner head.
    """

    def __init__(self, head: Head, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = head
        self.site_shape, self.noise_size, self.num_sites = head.site_shape, head.noise_size, head.num_sites
        self.discrete = head.discrete

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of the inner head."""
        if not self.head.built:
            self.head.build()
        self.built = True

    @property
    def params_size(self) -> int:
        return self.head.params_size

    def support(self, site: int | None = None) -> Support:
        return self.head.support(site)

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return self.head.encode_inputs(x, site)

    def in_event_support(self, x: Any, site: Any = None) -> tf.Tensor:
        return self.head.in_event_support(x, site)

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._in_support(x, site)
