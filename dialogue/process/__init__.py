"""What every process needs to start: settings, the home directory, keys, logs, readiness messages to its supervisor."""
