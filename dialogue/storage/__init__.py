"""The database, its clock and ids, and the vault that keeps texts unreadable at rest. Knows no table."""
