"""How addresses are reached and named: proxies, the HTTP client over them, host names."""
