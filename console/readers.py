"""Everything the pages may read, in one place: settings, published tables, ledger, inbox."""

from dataclasses import dataclass

from console.addresses import MailAddresses
from console.ledger import LedgerReader
from console.mailbox import Mailbox
from console.snapshots import Snapshots
from core.published import Published
from core.settings import Settings

LOCAL_MLFLOW = "http://127.0.0.1:5000"  # where `make up` serves it when no server is set


@dataclass(frozen=True)
class Readers:
    """What a page is made from."""

    settings: Settings
    snapshots: Snapshots
    ledger: LedgerReader
    mailbox: Mailbox
    addresses: MailAddresses

    @property
    def mlflow_url(self) -> str:
        """Where a person's browser finds MLflow."""
        configured = self.settings.mlflow_url
        return configured.rstrip("/") if configured.startswith(("http://", "https://")) else LOCAL_MLFLOW


def readers_of(settings: Settings) -> Readers:
    """Return readers over the stores that the settings name; nothing is opened before a page asks."""
    ledger = LedgerReader(settings.ledger)
    return Readers(
        settings=settings,
        snapshots=Snapshots(Published(settings.published)),
        ledger=ledger,
        mailbox=Mailbox(settings.inbox),
        addresses=MailAddresses(settings, ledger),
    )
