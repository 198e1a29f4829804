"""What Tencent's channels share: the callback's encryption, the access token, the client; no channel of its own."""
