"""WeChat as a channel, through any Wechaty puppet service. Only `puppet` and `compat` know wechaty."""

CHANNEL = "wechat"
