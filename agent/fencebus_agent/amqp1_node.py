"""Converts what a profile says of the exchange at the end of a link into words of AMQP 1.0."""

from __future__ import annotations

from proton import UNDESCRIBED, Array, Data, Terminus, symbol

from fencebus_agent.amqp1_profile import Node


def describe(terminus: Terminus, node: Node) -> None:
    """Have a source or a target be such a node."""
    if node.capabilities:
        terminus.capabilities.put_object(Array(UNDESCRIBED, Data.SYMBOL, *map(symbol, node.capabilities)))
    if node.properties:
        terminus.properties.put_object({symbol(name): value for name, value in node.properties})
