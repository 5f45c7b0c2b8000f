"""What a finished message gets on its way out: its signatures, and the address that its bounces come back to.

The ledger's digest is of the message as it is before: it can be made again when the keys of that day are gone.
"""

from collections.abc import Callable

from campaigns.dkim import sign, signers_of
from campaigns.mailers import Mail
from campaigns.sends import DueSend
from core.logging import get_logger
from core.settings import Settings
from core.tokens import Tokens

Envelop = Callable[[DueSend, str, bytes], Mail]
"""Makes a mail of a send, the bare address in its From field and its message."""


def bare(send: DueSend, author: str, message: bytes) -> Mail:
    """Return the message as it is; bounces go to the author."""
    return Mail(author, send.address, message)


class Envelope:
    """Signs with every key of the settings, and sends bounces to an address of the send's own.

    Raises
    ------
    SettingsError
        If a key cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._signers = signers_of(settings)
        self._bounce_domain = settings.bounce_domain
        self._tokens = Tokens(settings.token_key)
        if not self._signers:
            get_logger(__name__).info("mail goes out without a DKIM signature: LAPWING_DKIM_KEYS is empty")

    def __call__(self, send: DueSend, author: str, message: bytes) -> Mail:
        returns_to = author
        if self._bounce_domain:
            returns_to = f"{self._tokens.return_path(send.send_id)}@{self._bounce_domain}"
        # the planned moment, not the clock: a send tried again has the same bytes
        return Mail(returns_to, send.address, sign(message, self._signers, send.send_at))
