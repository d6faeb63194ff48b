"""HTTP: requests in, documents out, errors as problem+json."""
