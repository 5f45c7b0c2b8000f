"""What people answer to our mails: their own words without ours, what they want, and what is done about it.

Reading is pure: bytes in, a `Reply` out. Who writes may be anybody, so only a reply that carries a token we signed has an
effect by itself; all others wait for a person. `docs/replies.md` has the reasons.
"""
