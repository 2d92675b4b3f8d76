"""The networks of a model of a table, by name."""

from collections.abc import Callable, Sequence
from typing import Any

from tfar.distributions import MADE, AnyOrderTransformer, OrderlessNADE
from tfar.heads import PerSite


def _made(head: PerSite, hidden_units: Sequence[int] = (128, 128), **arguments: Any) -> MADE:
    return MADE([head.num_sites], hidden_units, head=head, **arguments)


def _orderless(head: PerSite, hidden_units: Sequence[int] = (128, 128), **arguments: Any) -> OrderlessNADE:
    # One order, that of the columns, so that the conditionals of a row are those of one model.
    orders = {} if "num_orders" in arguments else {"orders": [list(range(head.num_sites or 0))]}
    return OrderlessNADE([head.num_sites], hidden_units, head=head, **{**orders, **arguments})


def _transformer(head: PerSite, **arguments: Any) -> AnyOrderTransformer:
    if "hidden_units" in arguments:
        raise ValueError(
            "Expected no `hidden_units` with network='transformer', which has `units`, `num_layers` and `mlp_units` instead; "
            f"received hidden_units={arguments['hidden_units']!r}."
        )
    return AnyOrderTransformer([head.num_sites], head=head, **arguments)


# Functions of the head and further arguments of the distribution.
NETWORKS: dict[str, Callable[..., Any]] = {"made": _made, "orderless": _orderless, "transformer": _transformer}
