"""Pretrained weights on their way into the storage: fetched, added, checked; torch only in `tensors.py`."""
