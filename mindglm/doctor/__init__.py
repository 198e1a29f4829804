"""`mindglm doctor`: looks at everything that a newcomer gets wrong, and says how to mend it."""
