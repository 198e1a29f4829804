"""One package per chat platform; each turns updates into messages and deliveries into API calls."""
