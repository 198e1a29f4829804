"""WeCom's customer service (微信客服): any WeChat user writes by a link, and a colleague can take over."""

CHANNEL = "wecom"
