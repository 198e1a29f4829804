"""`mindglm doctor`: checks everything that is easy to get wrong, and says how to fix it."""
