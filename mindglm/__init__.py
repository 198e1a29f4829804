"""The command line: starts processes, contains no domain logic."""
