"""The HTTP service: keeps experiments durably and starts them as Ray jobs."""
