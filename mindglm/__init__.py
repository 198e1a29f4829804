"""The command line: starts things, knows no rules."""
