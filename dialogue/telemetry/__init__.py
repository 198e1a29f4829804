"""What a process lets be known of itself: metrics, health endpoints, heartbeat rows, traces."""
