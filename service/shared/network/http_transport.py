"""How httpx goes the way that `proxies` has found."""

from __future__ import annotations

import httpx
from socksio.exceptions import SOCKSError

from service.shared.network.proxies import Way


def transport_of(way: Way) -> httpx.BaseTransport:
    """A transport for `httpx.Client`, which then looks at no proxy variable itself: it raises for some."""
    return _Transport(proxy=way.proxy)


class _Transport(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except SOCKSError as error:  # httpx lets it through: what answered is no SOCKS proxy
            raise httpx.ProxyError(f"the proxy does not speak SOCKS: {error}", request=request) from error
