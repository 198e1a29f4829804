"""Observability of a process: metrics, health endpoints, heartbeat rows, traces."""
