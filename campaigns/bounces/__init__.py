"""What servers and readers' programs send back: bounces, complaints and auto-replies, read into plain data.

Pure: bytes in, a `Notice` out. Nothing here suppresses anybody, opens the ledger or decides what a notice is worth: anybody
can write such a mail, so what it says counts only where it also carries a token that we signed. `docs/bounces.md` has
the reasons.
"""
