"""The networks of a model of a table, by name."""

from collections.abc import Callable, Sequence
from typing import Any

from tfar.distributions import MADE, OrderlessNADE
from tfar.heads import PerSite


def _made(head: PerSite, hidden_units: Sequence[int], **arguments: Any) -> MADE:
    return MADE([head.num_sites], hidden_units, head=head, **arguments)


def _orderless(head: PerSite, hidden_units: Sequence[int], **arguments: Any) -> OrderlessNADE:
    # One order, that of the columns, so that the conditionals of a row are those of one model.
    orders = {} if "num_orders" in arguments else {"orders": [list(range(head.num_sites or 0))]}
    return OrderlessNADE([head.num_sites], hidden_units, head=head, **{**orders, **arguments})


# Functions of the head, the hidden units and further arguments of the distribution.
NETWORKS: dict[str, Callable[..., Any]] = {"made": _made, "orderless": _orderless}
