"""Benchmarks: ratios measured in one run against a named baseline, never absolute promises."""
