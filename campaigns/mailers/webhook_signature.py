"""The signature of a webhook, and the secrets it is made with: Standard Webhooks, specification 1.0.0, symmetric signatures."""

import base64
import binascii
import hmac
from collections.abc import Sequence

from core.errors import SettingsError

_PREFIX = "whsec_"
_BYTES = range(24, 65)


def keys_of(secrets: str) -> list[bytes]:
    """Return the keys in secrets separated by commas: the first signs, and so do the others while one is replaced.

    Raises
    ------
    SettingsError
        If there is none, or one is not `whsec_` and 24 to 64 bytes in base64.
    """
    keys = [_key(secret.strip()) for secret in secrets.split(",") if secret.strip()]
    if not keys:
        raise SettingsError("LAPWING_WEBHOOK_URL is set, which needs LAPWING_WEBHOOK_SECRETS")
    return keys


def signatures(keys: Sequence[bytes], message_id: str, moment: int, body: bytes) -> str:
    """Return the header `webhook-signature`: one signature per key. `moment`: seconds since 1970.

    Source: Standard Webhooks, "Signature scheme".
    """
    signed = f"{message_id}.{moment}.".encode() + body
    digests = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    return " ".join(f"v1,{digest.decode()}" for digest in digests)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _BYTES:
        raise SettingsError(
            "LAPWING_WEBHOOK_SECRETS must be secrets like whsec_ and 24 to 64 bytes in base64, separated by commas"
        )
    return key
