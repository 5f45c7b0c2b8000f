"""Signed tokens in the links of a mail. A token names a send (and a link); it never carries an address.

Signature: HMAC-SHA-1 with a derived key, as itsdangerous' URLSafeSerializer makes it; one salt per kind, so that a
click token is not an unsubscribe token. The same input gives the same token, so a mail can be rendered again.
"""

from enum import StrEnum

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import SecretStr


class TokenKind(StrEnum):
    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"


class Tokens:
    """Makes and reads tokens with one key."""

    def __init__(self, key: SecretStr) -> None:
        self._serializers = {
            kind: URLSafeSerializer(key.get_secret_value(), salt=f"lapwing.{kind}") for kind in TokenKind
        }

    def sign(self, kind: TokenKind, send_id: str, link_id: str = "") -> str:
        """Return a token for a link, a pixel or an unsubscribe address of one send."""
        parts = [send_id, link_id] if link_id else [send_id]
        token = self._serializers[kind].dumps(parts)
        return token if isinstance(token, str) else token.decode()

    def read(self, kind: TokenKind, token: str) -> tuple[str, str] | None:
        """Return (send_id, link_id), or None for anything we did not sign for this kind."""
        try:
            parts = self._serializers[kind].loads(token)
        except BadSignature:
            return None
        return (parts[0], parts[1] if len(parts) > 1 else "")
