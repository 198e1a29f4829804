"""One module a chat platform; each turns its updates into messages and deliveries into calls."""
