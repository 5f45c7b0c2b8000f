"""Every setting of the platform, typed, read once at a front door and passed on."""

import re
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import SettingsError

PROJECT = Path(__file__).resolve().parents[1]
_DOMAIN = r"^([a-z0-9-]+(\.[a-z0-9-]+)+)?$"
_RATE = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)+) *= *(\d+(?:\.\d+)?)", re.IGNORECASE)
DEMO = "demo"
"""The approver that `make setup` names."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Environment variables `LAPWING_*`; `.env.example` lists every one, and a test says so."""

    model_config = SettingsConfigDict(
        env_prefix="LAPWING_", env_file=PROJECT / ".env", frozen=True, extra="ignore"
    )

    data_dir: Path = Path("data")
    """Folder of the landing files, the warehouse, the published tables and the local stores."""
    token_key: SecretStr = Field(min_length=32)
    """Key of links, unsubscribe tokens and pseudonyms. A secret with a default is known to everybody."""
    ledger_url: str = ""
    """SQLAlchemy address of the ledger; empty: a SQLite file in `data_dir`."""
    mlflow_url: str = ""
    """MLflow tracking address; empty: a SQLite file and artifacts in `data_dir`."""
    shop_database: SecretStr = SecretStr("")
    """Address of the shop's own database (postgresql://… or mysql://…), read by `lapwing source import`; holds a login."""
    currency: str = "USD"
    """ISO 4217 code of every amount the shop brings."""
    shop_time_zone: str = "America/New_York"
    """IANA zone of customers of whom no other is known."""
    shop_locale: str = "en"
    """Locale of customers of whom no other is known."""
    from_address: str = "Juniper Market <hello@juniper.example>"
    """What the From header says."""
    test_addresses: str = ""
    """Addresses that `lapwing campaign preview --send-to` may send test mail to, separated by commas; empty: none."""
    dkim_keys: str = ""
    """Files of the private keys that sign mail (PEM), separated by commas; a file's name before `.pem` is its selector. Empty: unsigned."""
    dkim_domain: str = Field("", pattern=_DOMAIN)
    """Domain that signs mail (DKIM's d=); empty: that of the From address."""
    bounce_domain: str = Field("", pattern=_DOMAIN)
    """Domain that bounces come back to, each to an address of its send's own; empty: to the From address."""
    bounce_mailbox: SecretStr = SecretStr("")
    """Where they arrive: a Maildir's folder, or imaps://user:password@host/folder, which holds a login. Empty: nothing is fetched."""
    takes_replies: bool = False
    """Whether answers to our mail come back to the bounce domain too (Reply-To), and are read. Off: to the From address, unread."""
    mailer: Literal["smtp", "ses", "sendgrid"] = "smtp"
    """How mail is handed over: to an SMTP server, or by the HTTP API of Amazon SES or of SendGrid."""
    mailer_url: str = ""
    """Address of the provider's API; empty: the one it publishes."""
    ses_region: str = Field("", pattern=r"^[a-z0-9-]*$")
    ses_access_key_id: str = ""
    ses_secret_access_key: SecretStr = SecretStr("")
    ses_configuration_set: str = ""
    """Name of the configuration set that says what SES tells of bounces, complaints and deliveries; empty: none."""
    sendgrid_api_key: SecretStr = SecretStr("")
    webhook_url: str = ""
    """Address of the shop that steps of other channels than mail are posted to; empty: no campaign may have any."""
    webhook_secrets: SecretStr = SecretStr("")
    """What those posts are signed with: `whsec_…`, as Standard Webhooks writes them; several, separated by commas, while one is replaced."""
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(8125, ge=1, le=65535)
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_starttls: bool = False
    smtp_connections: int = Field(20, ge=1, le=100)
    """Connections; each has one mail under way and one announced: a sender that is killed leaves twice as many uncertain."""
    smtp_mails_per_connection: int = Field(1000, ge=1)
    """Mails after which a connection is closed and another one opened."""
    send_rate: float = Field(0, ge=0)
    """Mails a second, of all senders together; 0: as fast as it goes."""
    domain_rates: str = ""
    """Mails a second to recipients of a domain, of all senders together: `gmail.com=5, outlook.com=2`."""
    warm_up_from: date | None = None
    """First day (UTC) of the warm-up of a new sending domain; each next day may send half as many again. Empty: none."""
    warm_up_mails: int = Field(50, ge=1)
    """Mails of the first day of a warm-up."""
    max_refused_share: float = Field(0.1, gt=0, le=1)
    """A campaign of which servers refused more than this share in the last 7 days is paused; 1: never."""
    give_up_after_hours: int = Field(24, ge=1)
    """How long after its planned moment mail that the server defers is still tried."""
    approve_above: int = Field(10_000, ge=0)
    """Mails of one campaign's step on a day above which a person is asked before they go."""
    approver: str = Field("", max_length=64)
    """Who approves, at once, whatever a person would be asked about; empty: a person is asked. `demo` only does while days are replayed."""
    tracking_url: str = "http://127.0.0.1:8180"
    """Where customers' mail programs reach the tracking service: links, pixel, unsubscribe."""
    console_url: str = "http://127.0.0.1:8190"
    """Where people who run the shop reach the console: inbox, why-page, report."""
    pause_after_errors: int = Field(20, ge=1)
    """Consecutive unreachable-server errors after which a batch stops."""
    copy_key: SecretStr = SecretStr("")
    """Key of a language model that writes copy; empty: none is asked. It learns what a mail is for, a language and a category."""
    copy_url: str = Field("", pattern=r"^(https://.+|http://(127\.0\.0\.1|localhost)(:\d+)?/?)?$")
    """Where it is asked: an OpenAI-compatible API, without the `/v1/chat/completions`."""
    copy_model: str = ""
    """Name of the model there."""
    rules_of_trade: str = ""
    """File of the rules of trade for recommendations; empty: `rules_of_trade.yml` beside the code."""
    churn_horizon_days: int = Field(28, ge=1)
    """A customer without an order for this many days after a day has lapsed by its label."""
    churn_tuning_trials: int = Field(0, ge=0)
    """Settings of each churn model that a training tries by Bayesian search; 0 takes those found on the demo's shop."""
    margin_share: float = Field(0.25, ge=0, le=1)
    """Share of what customers spend that is left once goods and delivery are paid for."""
    incentive_cents: int = Field(100, ge=0)
    """What the incentive for a customer who may lapse costs the shop on the order it is used for; 0 where there is none."""
    contact_cents: int = Field(2, ge=0)
    """What writing to one customer costs: the mail itself, and readers lost to it."""
    incentive_chance: float = Field(0.1, gt=0, lt=1)
    """Chance that a customer who would lapse orders because of the incentive: a stated guess, until experiments tell."""
    replay: bool = False
    """Past days are replayed (the demo): the clock stands on the day being run, mail stays on loopback."""

    @field_validator("data_dir")
    @classmethod
    def _from_the_project(cls, value: Path) -> Path:
        return (PROJECT / value).resolve()

    @field_validator("warm_up_from", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("domain_rates")
    @classmethod
    def _domains_and_rates(cls, value: str) -> str:
        for part in value.split(","):
            rate = _RATE.fullmatch(part.strip())
            if part.strip() and (rate is None or float(rate[2]) == 0):
                raise ValueError(
                    "must be domains with mails a second above 0, such as gmail.com=5, outlook.com=2"
                )
        return value

    @field_validator("shop_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            # Pydantic would let the first two through, and show the value with the third.
            raise ValueError("is no IANA time zone, such as Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _copy_is_asked_somewhere(self) -> "Settings":
        if self.copy_key.get_secret_value() and not (self.copy_url and self.copy_model):
            raise ValueError(
                "LAPWING_COPY_KEY is set, so LAPWING_COPY_URL and LAPWING_COPY_MODEL must be too"
            )
        return self

    @model_validator(mode="after")
    def _replay_stays_at_home(self) -> "Settings":
        if self.replay and (self.mailer != "smtp" or self.smtp_host not in LOOPBACK):
            raise ValueError(
                "LAPWING_REPLAY is on, so mail may only go to this machine: LAPWING_MAILER must be smtp, and"
                " LAPWING_SMTP_HOST 127.0.0.1"
            )
        if self.replay and self.webhook_url and urlsplit(self.webhook_url).hostname not in LOOPBACK:
            raise ValueError("LAPWING_REPLAY is on, so LAPWING_WEBHOOK_URL may only lead to this machine")
        return self

    @property
    def landing(self) -> Path:
        return self.data_dir / "landing"

    @property
    def warehouse(self) -> Path:
        return self.data_dir / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.data_dir / "published"

    @property
    def inbox(self) -> Path:
        """Maildir of the local inbox."""
        return self.data_dir / "inbox"

    @property
    def tracking_log(self) -> Path:
        """Folder of the tracking service's append-only segments."""
        return self.data_dir / "tracking"

    @property
    def data_docs(self) -> Path:
        """Folder of the gates' pages."""
        return self.data_dir / "data_docs"

    @property
    def ledger(self) -> str:
        return self.ledger_url or f"sqlite:///{self.data_dir / 'ledger.sqlite'}"

    @property
    def rates(self) -> dict[str, float]:
        """Recipient domain in lower case (`*`: all mail) → mails a second."""
        domains = [part.split("=") for part in self.domain_rates.lower().split(",") if part.strip()]
        overall = {"*": self.send_rate} if self.send_rate else {}
        return overall | {domain.strip(): float(rate) for domain, rate in domains}

    @property
    def test_address_list(self) -> list[str]:
        """The addresses that test mail may go to, in lower case."""
        return [address.strip().lower() for address in self.test_addresses.split(",") if address.strip()]

    @property
    def present_approver(self) -> str:
        """Who approves at once; empty: nobody. The demo's line in `.env`, forgotten there, approves no real mail."""
        return "" if self.approver == DEMO and not self.replay else self.approver

    @property
    def rules_file(self) -> Path:
        return Path(self.rules_of_trade) if self.rules_of_trade else PROJECT / "rules_of_trade.yml"

    @property
    def dkim_key_files(self) -> list[Path]:
        return [PROJECT / name.strip() for name in self.dkim_keys.split(",") if name.strip()]

    @property
    def mlflow(self) -> str:
        return self.mlflow_url or f"sqlite:///{self.data_dir / 'mlflow.sqlite'}"


def load_settings(**overrides: object) -> Settings:
    """Read the environment (and `.env`) once.

    Raises
    ------
    SettingsError
        Naming the first variable that is missing or wrong, never its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        name = "LAPWING_" + "_".join(str(part) for part in first["loc"]).upper()
        if first["loc"]:
            raise SettingsError(f"{name}: {message} (see .env.example)") from None
        raise SettingsError(f"{message} (see .env.example)") from None
