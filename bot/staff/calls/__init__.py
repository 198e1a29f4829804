"""How staff are called outside the chats: e-mail and webhooks. No client's words ever leave by them."""
