"""The family of errors Lapwing raises on purpose.

    LapwingError             one sentence: the thing, the value, the way out
    ├── SettingsError        an environment variable is missing or wrong
    ├── ContractBroken       what a shop brought breaks the source contract beyond its threshold
    ├── BuildFailed          a dbt model or test failed
    ├── GateFailed           a critical expectation failed: nothing behind the gate happens
    ├── NotPublished         a published table has no snapshot for the day asked for
    ├── CampaignInvalid      a campaign folder, a template or a fact is not what it must be
    ├── RulesInvalid         the file of rules of trade is not what it must be
    ├── LedgerBroken         the accounting identity does not hold, or the ledger is not usable
    ├── MailboxFailed        the mailbox that bounces come back to cannot be read
    ├── SendingPaused        too many errors in a row: what is left stays planned
    ├── ModelRefused         a model did not beat its baselines, or is not what was registered
    └── ServiceFailed        a local service did not come up

The command line prints these without a traceback and lets anything else crash.
"""


class LapwingError(Exception):
    """Root of the family: something Lapwing can name, with a way out in the message."""


class SettingsError(LapwingError):
    """An environment variable is missing or has a value that cannot be used."""


class ContractBroken(LapwingError):
    """The landing files break the source contract beyond the table's threshold."""


class BuildFailed(LapwingError):
    """A dbt model or test failed; the message names the first one."""


class GateFailed(LapwingError):
    """A critical expectation failed. Nothing behind the gate happens."""


class NotPublished(LapwingError):
    """A published table has no snapshot for the day asked for."""


class CampaignInvalid(LapwingError):
    """A campaign folder, a template or a fact is not what it must be."""


class RulesInvalid(LapwingError):
    """The file of rules of trade cannot be read, or breaks its form."""


class LedgerBroken(LapwingError):
    """The accounting identity does not hold, or the ledger cannot be used."""


class MailboxFailed(LapwingError):
    """The mailbox that bounces come back to cannot be read: its server is silent, or says no."""


class SendingPaused(LapwingError):
    """Too many errors in a row; the sends that are left stay planned."""


class ModelRefused(LapwingError):
    """A model did not beat its baselines, or is not the one that was registered."""


class ServiceFailed(LapwingError):
    """A local service did not come up."""
