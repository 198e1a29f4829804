"""A channel that exists only here, as a distribution of somebody else would bring it: nothing outside knows of it."""

CHANNEL = "pigeon"
