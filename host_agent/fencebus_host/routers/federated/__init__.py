"""The router among hosts that know each other, over any carrier."""

from fencebus_host.routers.federated.router import FederatedRouter

__all__ = ["FederatedRouter"]
