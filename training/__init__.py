"""How the models that ship with the project, or run on an operator's host, are trained. Never imported at run time."""
