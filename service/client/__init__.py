"""The typed client for programs and the command line: `from service.client import RebalanceClient`."""

from service.client.client import RebalanceClient

__all__ = ["RebalanceClient"]
