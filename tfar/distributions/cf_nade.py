"""CF-NADE: neural autoregressive collaborative filtering of ratings, and of positive items."""

from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import tensorflow as tf

from tfar.distributions.arguments import check_rate, checked_conditional_shape, shape_tuple
from tfar.distributions.ratings import Ratings
from tfar.heads import Bernoulli, Ordinal
from tfar.heads.base import check_positive_int
from tfar.networks import CFNADENetwork, ImplicitCFNADENetwork


@keras.saving.register_keras_serializable("tfar")
class CFNADE(Ratings):
    """CF-NADE, a model of the ratings of a user for the items that the user rated.

    For ratings r_1 .. r_D of the items m_1 .. m_D in an order, with g the activation and K ratings:

        log p(r | m) = sum_i log p(r_i | r_{<i}),   h = g(c + sum_{j<i} sum_{k <= r_j} W^k[m_j]),
        s_k = sum_{j <= k} (b^j[m_i] + V^j[m_i] h),   p(r_i = k | r_{<i}) = exp(s_k) / sum_t exp(s_t)

    An event holds a rating 1 .. K for every item, and `observed` says which of them exist. Which items are rated is given and
    not modelled. `log_prob(x, observed=...)` is the exact log-probability of the observed ratings in the order of the model,
    and its cost grows with the number of ratings, not of items, up to the output layer. `complete` draws the missing ratings of
    a user jointly.

    Training draws an order of the rated items of each row and a step i of it, and predicts all ratings from i on, with the
    weight D / (D - i + 1). The expectation of the loss is the mean of -log p(r | m) over all orders.

    Rows may be users and items the items; or rows are items and an event holds the ratings of an item by all users (the
    item-based model, which is more accurate in the paper and does not serve new users).

    Args:
        num_items: int. Number of items, the length of an event.
        hidden_units: units of each hidden layer, ints or an int. With several the model is deep: the first layer alone depends
            on the ratings.
        num_ratings: int, K. Ratings are 1 .. K. Default: 5.
        ordinal_weight: float in [0, 1]. Weight of the ordinal cost in training, see `tfar.heads.Ordinal`; the paper's models have
            1. It is not a likelihood and does not change `log_prob`. Default: 0.
        rank: int or None. Number of columns of the low-rank factors: W^k = A^k B and V^k = P^k Q. Default: None, full matrices.
        share_ratings: bool. Whether a rating also adds the weights of all lower ratings, on both sides; otherwise the sums over
            ratings above have one term. Default: True.
        implicit_term: bool. Whether a rating adds a weight row of its item that does not depend on the rating. Default: False.
        num_orders: int. Number of random orders whose probabilities `log_prob` averages. Default: 1.
        orders: None, or int `[K, num_items]`: the orders themselves, instead of `num_orders`.
        activation: activation function of the hidden units. Default: "tanh".
        dropout_rate: float in [0, 1). Rate at which training drops hidden units. Default: 0.
        conditional_shape: shape of the conditional input of one row, such as features of a user; a dict of shapes, or None.
        kernel_initializer: initializer of all kernels, each with its own seed. Default: "glorot_uniform".
        seed: int. Determines the initial weights and the orders. Default: 0.
        jit_compile: bool. Compile eager calls with XLA. Default: True.
        name: str.

    Raises:
        ValueError: If a size or another argument is out of range.

    Example:
        >>> dist = tfar.CFNADE(num_items=6, hidden_units=8)
        >>> x = np.array([[5, 0, 1, 0, 0, 4]])
        >>> dist.log_prob(x, observed=x > 0).shape
        TensorShape([1])
        >>> dist.predict_ratings(x, x > 0).probs.shape
        TensorShape([1, 6, 5])
        >>> sorted(dist.recommend(x, x > 0, k=3).items.numpy()[0].tolist())
        [1, 3, 4]

    References:
        Zheng, Tang, Ding and Zhou. A neural autoregressive approach to collaborative filtering. ICML 2016, sections 3 and 4.
        https://arxiv.org/abs/1605.09477

    Notes:
        The paper trains with the ordinal cost alone. `implicit_term` is in the authors' code; with it the model represents the
        same distributions, and the weight of an item that all its ratings share is learned from all of them. Conditions and
        dropout are extensions.
    """

    def __init__(
        self,
        num_items: int,
        hidden_units: int | Sequence[int],
        *,
        num_ratings: int = 5,
        ordinal_weight: float = 0.0,
        rank: int | None = None,
        share_ratings: bool = True,
        implicit_term: bool = False,
        num_orders: int = 1,
        orders: Any = None,
        activation: Any = "tanh",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "CFNADE",
    ) -> None:
        num_ratings = check_positive_int("num_ratings", num_ratings, lowest=2)
        head = Ordinal(num_ratings, cumulative=bool(share_ratings), ordinal_weight=ordinal_weight)
        network = CFNADENetwork(
            (check_positive_int("num_items", num_items),),
            shape_tuple("hidden_units", hidden_units),
            head.params_size,
            num_ratings,
            share_ratings=share_ratings,
            rank=None if rank is None else check_positive_int("rank", rank),
            implicit_term=implicit_term,
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
        )
        members = check_positive_int("num_orders", num_orders) if orders is None else orders
        super().__init__(network, head, orders=members, jit_compile=jit_compile, name=name)

    def _default_observed(self, value: Any) -> NoReturn:
        raise ValueError("Expected `observed`, bools that say which items are rated; received None.")


@keras.saving.register_keras_serializable("tfar")
class ImplicitCFNADE(Ratings):
    """CF-NADE of implicit feedback, a model of which items are positive, such as bought or watched.

    For all N items in an order, t = 1 for a positive item and 0 for another one:

        log p(t) = sum_i log p(t_i | t_{<i}),   h = g(c + sum_{j<i} t_j W[m_j]),
        p(t_i = 1 | t_{<i}) = sigmoid(b[m_i] + V[m_i] h)

    Training conditions on a random subset of the positive items and predicts all others, so that it matches what
    `predict_ratings` and `recommend` are given: some positive items. The expectation of the loss is the mean of -log p(t)
    over all orders.

    The confidences c = 1 + alpha r of counts r are the site weights of training:
    `fit({"value": r > 0, "site_weight": 1 + alpha * r})`. The weighted loss is
    not the negative logarithm of a distribution; `log_prob` has no weights.

    A score of `recommend` is p(t_m = 1) if the positive items came first in the order. Which items are known to be positive
    depends on their values, so the score ranks items and is not the probability that a new user likes the item.

    Args:
        num_items: int. Number of items, N, the length of an event.
        hidden_units: units of each hidden layer, ints or an int.
        rank, num_orders, orders, activation, dropout_rate, conditional_shape, kernel_initializer, seed, jit_compile, name: see
            `tfar.CFNADE`.

    Raises:
        ValueError: If a size or another argument is out of range.

    Example:
        >>> dist = tfar.ImplicitCFNADE(num_items=6, hidden_units=8)
        >>> watched = np.array([[1, 0, 0, 1, 0, 0]])
        >>> sorted(dist.recommend(watched, k=4).items.numpy()[0].tolist())
        [1, 2, 4, 5]

    References:
        Zheng, Liu, Tang and Zhou. Neural autoregressive collaborative filtering for implicit feedback. DLRS 2016.
        https://arxiv.org/abs/1606.07674

    Notes:
        Items that are not positive add nothing to the hidden units, and the confidences do not enter them. The paper's known
        items are positive and others.
    """

    def __init__(
        self,
        num_items: int,
        hidden_units: int | Sequence[int],
        *,
        rank: int | None = None,
        num_orders: int = 1,
        orders: Any = None,
        activation: Any = "tanh",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "ImplicitCFNADE",
    ) -> None:
        head = Bernoulli()
        network = ImplicitCFNADENetwork(
            (check_positive_int("num_items", num_items),),
            shape_tuple("hidden_units", hidden_units),
            head.params_size,
            1,
            rank=None if rank is None else check_positive_int("rank", rank),
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
        )
        members = check_positive_int("num_orders", num_orders) if orders is None else orders
        super().__init__(network, head, orders=members, jit_compile=jit_compile, name=name)

    def _default_observed(self, value: Any) -> tf.Tensor:
        """Returns the positive items."""
        return self._checked_value(value) > 0.0
