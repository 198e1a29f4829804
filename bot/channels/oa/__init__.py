"""A WeChat Official Account (公众号, 服务号): its followers write to it, and it answers within WeChat's budget."""

CHANNEL = "oa"
