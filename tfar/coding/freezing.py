"""Copies of models whose sums are exact, so that every machine computes the same bits."""

from typing import Any, NamedTuple

import numpy as np

from tfar.heads import Head
from tfar.heads.base import MAX_WHOLE, check_positive_int
from tfar.layers import RoundedReLU

# Largest number of bits that `freeze` accepts: with more, a sum of a few products exceeds the whole numbers of float32.
MAX_BITS = 11


def freeze(dist: Any, bits: int = 8, max_activation: float | None = None) -> Any:
    """Returns a copy of a model whose sums are exact: every machine and every batch size computes the same parameters.

    The copy has weights, and values of ReLU units and of gates, that are whole multiples of `2**-bits`. Its biases are multiples
    of `2**(-2 * bits)`, as the products are. tanh and the sigmoid of a gate are read from tables of such numbers. All sums are
    then whole numbers of that unit, and float32 adds them without rounding errors if no sum can reach 2**24 units. This is
    checked for every unit, for all possible events. The parameters of the sites therefore do not depend on the order of the
    additions: they are the same in one pass and in steps, for any batch size and on any processor, as long as it computes in
    float32.

    The copy is a distribution of the same class with weights of its own. It trains, but a step of training takes the weights
    off the grid; freeze the result again. Its log-probabilities differ slightly from those of the original, and as they are
    logarithms, their last bits depend on the machine. `tfar.coding.compress` uses the parameters alone.

    Args:
        dist: a model of a network of sums, ReLU and gates: `tfar.MADE` of one mask, `tfar.PixelCNN`, `tfar.GatedPixelCNN` or
            `tfar.WaveNet`, with `activation="relu"` (or a frozen model). Its head is Bernoulli or Categorical, and its inputs
            are bits or one-hot classes. A deep network needs `max_activation`, because the bound on its sums grows with every
            layer.
        bits: int from 1 to 11. Binary digits of the weights and of the values of hidden units after the point.
        max_activation: float, or None. Larger values of hidden units are cut to it, and those of features without a ReLU to its
            negative as well, which bounds the sums of the next layer. It changes the model where a unit exceeds it.

    Returns:
        A distribution of the class of `dist`.

    Raises:
        ValueError: If a sum could reach 2**24 units (the message names the layer and the number of bits that fits), or the
            model has other units, inputs or heads.

    Example:
        >>> dist = tfar.MADE([4], [8], seed=0)
        >>> frozen = tfar.coding.freeze(dist)
        >>> x = dist.sample(5, seed=1)
        >>> bool(tf.reduce_all(tf.abs(frozen.log_prob(x) - dist.log_prob(x)) < 0.05))
        True
    """
    bits = check_positive_int("bits", bits)
    if bits > MAX_BITS:
        raise ValueError(f"Expected `bits` to be an int from 1 to {MAX_BITS}; received {bits}.")
    _check_form(dist)
    frozen = _rounded(dist, bits, max_activation)
    worst = _worst(frozen)
    if worst.size >= MAX_WHOLE:
        raise ValueError(f"{worst.message(bits)} {_way_out(dist, bits, max_activation)}")
    return frozen


def is_frozen(dist: Any) -> bool:
    """Returns whether the units of a model are rounded, as `freeze` makes them."""
    return isinstance(getattr(getattr(dist.law, "network", None), "activation", None), RoundedReLU)


def check_frozen(dist: Any) -> None:
    """Raises ValueError if the sums of a model with rounded units are not exact."""
    bits = dist.network.activation.bits
    for variable in dist.network.variables:
        if not np.array_equal(_on_grid(variable, bits), np.asarray(variable)):
            raise ValueError(
                f"Expected weights on the grid of {bits} bits; {variable.path} has others, as after training. Freeze the model "
                "again with tfar.coding.freeze."
            )
    worst = _worst(dist)
    if worst.size >= MAX_WHOLE:
        raise ValueError(f"{worst.message(bits)} Freeze the model again with fewer bits.")


def check_plain(dist: Any) -> None:
    """Raises ValueError if the conditionals of a model are not those of its head, but tempered or restricted ones."""
    changes = {name: getattr(dist.law, name) for name in ("temperature", "top_k", "top_p")}
    changed = ", ".join(f"{name}={value}" for name, value in changes.items() if value is not None)
    if changed:
        raise ValueError(
            f"Expected a model of temperature 1 without `top_k` and `top_p`; received {changed}. Take the model that this one "
            "was made from."
        )


class _Worst(NamedTuple):
    """The largest possible sum of all units, in units of the products."""

    layer: str
    unit: int
    size: float

    def message(self, bits: int) -> str:
        return (
            f"Expected sums below 2**24 in units of 2**-{2 * bits}, which float32 adds exactly; unit {self.unit} of the layer "
            f"{self.layer} can reach 2**{np.log2(self.size):.1f}."
        )


def _worst(frozen: Any) -> _Worst:
    if frozen.network.compute_dtype != "float32":
        raise ValueError(
            f"Expected a network that computes in float32; received {frozen.network.compute_dtype}. Freeze the "
            "model with tfar.coding.freeze."
        )
    scale = 4.0**frozen.network.activation.bits
    found = []
    for layer, sums in frozen.network.largest_sums().items():
        unit = int(np.argmax(sums))
        found.append(_Worst(layer, unit, float(sums[unit] * scale)))
    return max(found, key=lambda worst: worst.size)


def _rounded(dist: Any, bits: int, max_activation: float | None) -> Any:
    """Returns the copy, whatever its sums are."""
    config = {**dist.get_config(), "activation": RoundedReLU(bits, max_activation), "dtype_policy": "float32"}
    frozen = type(dist).from_config(config)
    for own, other in zip(frozen.network.variables, dist.network.variables, strict=True):
        own.assign(_on_grid(other, bits))
    return frozen


def _on_grid(variable: Any, bits: int) -> np.ndarray:
    """Rounds a kernel to multiples of `2**-bits`, and a bias to multiples of `2**(-2 * bits)`."""
    scale = 2.0**bits if len(variable.shape) > 1 else 4.0**bits
    return (np.rint(np.asarray(variable, np.float64) * scale) / scale).astype(np.float32)


def _way_out(dist: Any, bits: int, max_activation: float | None) -> str:
    """Returns the part of the message that says which arguments fit."""
    fitting = [n for n in range(bits - 1, 0, -1) if _worst(_rounded(dist, n, max_activation)).size < MAX_WHOLE]
    other = "`max_activation`, which cuts the values of hidden units, bounds the sums of later layers"
    return f"bits={fitting[0]} fits; {other}." if fitting else f"No number of bits fits; {other}."


def _check_form(dist: Any) -> None:
    """Raises ValueError unless `freeze` takes the model."""
    network, arguments = getattr(dist.law, "network", None), dist.get_config()
    if dist.num_latents:
        raise ValueError(
            f"Expected a model of one network; received {type(dist).__name__}, which has a latent variable. It can compress "
            "without being frozen (on the command line: --no-freeze), if its latents have finitely many values; the same machine "
            "with the same versions then reads the archive."
        )
    if network is None or "activation" not in arguments:
        raise ValueError(
            f"Expected a model with the argument `activation`, such as MADE; received {type(dist).__name__}. Its sums are not "
            "those of ReLU units."
        )
    if not isinstance(network.activation, RoundedReLU) and getattr(network.activation, "__name__", "") != "relu":
        raise ValueError(f"Expected a model with activation='relu'; received {arguments['activation']!r}.")
    if type(dist.head)._class_logits is Head._class_logits:
        raise ValueError(
            f"Expected a head with a logit for each value, Bernoulli or Categorical; received {type(dist.head).__name__}."
        )
    check_plain(dist)
