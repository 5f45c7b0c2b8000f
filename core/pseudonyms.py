"""A stable stand-in for an address: keyed, so that nobody without the key can test a guess."""

import hashlib
import hmac

from pydantic import SecretStr


def pseudonym(address: str, key: SecretStr) -> str:
    """Return 32 hex digits of HMAC-SHA-256 (RFC 2104) over the address, trimmed and case-folded."""
    folded = address.strip().casefold().encode()
    return hmac.new(key.get_secret_value().encode(), folded, hashlib.sha256).hexdigest()[:32]
