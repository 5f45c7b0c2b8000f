"""What servers and readers' programs send back: bounces, complaints and auto-replies, fetched, read and acted on.

Reading is pure: bytes in, a `Notice` out (`read`), and the send it is proved to be about (`proof`). Anybody can write such
a mail, so what it says counts only where it also carries a token that we signed. `docs/bounces.md` has the reasons.
"""
