"""Benchmarks. Each prints a table, or JSON with `--json`; not part of the installed package."""
