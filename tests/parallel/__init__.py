"""Runs the tests in several processes, all of them forks of the one that has imported and collected them."""
