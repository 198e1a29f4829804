"""What every process needs to start: settings, the home directory, keys, logs, the supervisor that started it."""
