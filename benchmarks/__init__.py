"""Measurements that back the claims of the README; run them as `python -m benchmarks.NAME`."""
