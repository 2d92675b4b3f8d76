"""A network that has what the shell must handle at once: members, named conditions, several channels, an order of its own."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfar
from tests.cases import Case, randomize
from tests.reference import logistics
from tests.reference.oracles.parts import Oracle, earlier
from tfar.networks import AutoregressiveNetwork
from tfar.networks.conditions import flatten_condition

# A cycle of four sites, so that the order is not its own inverse.
ORDER = (1, 2, 3, 0)
CHANNELS = 2
CONDITION = {"speaker": (2,), "features": (2, 1)}


@keras.saving.register_keras_serializable("tests")
class StubNetwork(AutoregressiveNetwork):
    """A linear map of earlier sites and of the condition, for two members that share an order.

        params_i = bias_i + V c + sum_j mask_k[i, j] x_j W_ji

    The first member sees all earlier sites, and the second the one before alone.
    """

    num_members = 2

    def __init__(self, params_size: int, **kwargs: Any) -> None:
        super().__init__((len(ORDER), CHANNELS), (CHANNELS,), CONDITION, **kwargs)
        self._params_size = int(params_size)
        self.step_of_site = np.argsort(ORDER).astype(np.int32)[None]

    @property
    def params_size(self) -> int:
        return self._params_size

    def build(self, input_shape: Any = None) -> None:
        sites, params = self.num_sites, self.params_size
        self.kernel = self.add_weight(name="kernel", shape=(sites, CHANNELS, sites, params))
        self.condition_kernel = self.add_weight(name="condition_kernel", shape=(4, sites, params))
        self.bias = self.add_weight(name="bias", shape=(sites, params))
        self.built = True

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> np.ndarray:
        steps = self.step_of_site[0]
        apart = steps[:, None] - steps[None, :]
        found = (apart > 0) if member == 0 else (apart == 1)
        return found if sites is None else found[np.asarray(sites, int)]

    def _masks(self) -> tf.Tensor:
        """Returns which sites each member sees, `[member, i, j]`."""
        return tf.constant(np.stack([self.influences(member=k) for k in range(2)]).astype(np.float32))

    def _context(self, conditional_input: Any) -> tf.Tensor:
        features = flatten_condition(conditional_input, self.conditional_shape)
        return tf.einsum("bf,fip->bip", features, self.condition_kernel) + self.bias

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        mask = tf.gather(self._masks(), member)
        return self._context(conditional_input) + tf.einsum("bjc,ij,jcip->bip", x, mask, self.kernel)

    def start(
        self, batch_size: Any, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> dict[str, tf.Tensor]:
        member = tf.zeros([batch_size], tf.int32) if member is None else tf.broadcast_to(member, [batch_size])
        x = tf.zeros([batch_size, self.num_sites, CHANNELS])
        return {"x": x, "context": self._context(conditional_input), "member": member}

    def step(self, state: Any, index: Any, x_previous: Any, weights: Any = None) -> Any:
        order = tf.constant(ORDER)
        previous = tf.one_hot(order[tf.maximum(index - 1, 0)], self.num_sites) * tf.cast(index > 0, tf.float32)
        x, site = state["x"] + previous[:, None] * x_previous, order[index]
        mask = tf.gather(self._masks()[:, site], state["member"])
        kernel = tf.gather(tf.convert_to_tensor(self.kernel), site, axis=2)
        params = state["context"][:, site] + tf.einsum("bjc,bj,jcp->bp", x, mask, kernel)
        return params[:, None], {**state, "x": x}

    def get_config(self) -> dict[str, Any]:
        return {"params_size": self._params_size, "name": self.name}


def make() -> tfar.Autoregressive:
    """The stub with pixels of two channels of two values."""
    head = tfar.heads.DiscretizedLogisticMixture(1, low=0, high=1, num_channels=CHANNELS)
    return randomize(tfar.Autoregressive(StubNetwork(head.params_size), head))


def _members(dist: Any, x: np.ndarray, condition: Any) -> list[float]:
    """log p_k(x) of both members, in loops."""
    weights = [np.asarray(v, np.float64) for v in dist.network.weights]
    features = np.concatenate([np.ravel(condition[name]) for name in sorted(CONDITION)])
    found = []
    for sees in connectivity(dist):
        total = 0.0
        for i in range(len(ORDER)):
            params = weights[2][i] + features @ weights[1][:, i]
            for j in np.flatnonzero(sees[i]):
                params = params + x[j] @ weights[0][j, :, i]
            total += np.log(logistics.pixel_prob(params, x[i], 1, 0, 1))
        found.append(total)
    return found


def connectivity(dist: Any = None) -> np.ndarray:
    """All earlier sites, and the one before alone."""
    before = np.zeros([len(ORDER)] * 2, bool)
    before[ORDER[1:], ORDER[:-1]] = True
    return np.stack([earlier(ORDER), before])


ORACLE = Oracle(
    lambda dist, x, condition: float(np.log(np.mean(np.exp(_members(dist, x, condition))))),
    connectivity,
    lambda dist, x, condition: -_members(dist, x, condition)[0],  # The training pass is that of the first member.
)
STUB = Case("Stub", make, (len(ORDER), CHANNELS), 2, CONDITION, ORACLE, main=True)
