"""Measurements that print a table, `--json` for machines; not part of the package."""
