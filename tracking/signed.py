"""Reads a token as it was signed, to the letter."""

from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.exc import BadData

from core.tokens import TokenKind, Tokens

LONGEST_TOKEN = 512  # ours have about 90 characters


def read_token(tokens: Tokens, kind: TokenKind, token: str) -> tuple[str, str] | None:
    """Return (send_id, link_id), or None for anything but the very token we signed for this kind.

    Base64 can be spelled in several ways (padding, spare bits of the last digit, characters that decoders skip), so a
    changed signature may still verify. It names the same send, but only our own spelling is taken: a token
    that was altered on its way is nobody's consent.
    """
    if len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    signed = tokens.read(kind, token)
    if signed is None:
        return None
    signature = token.rpartition(".")[2]
    try:
        is_ours = base64_encode(base64_decode(signature)).decode() == signature
    except BadData:
        return None
    return signed if is_ours else None
