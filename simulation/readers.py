"""SIMULATED readers: they open, click and unsubscribe over HTTP what lies in the local inbox, and are nobody.

`simulation.habits` states the truth behind what they do. They talk to a tracking service on this machine only.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import httpx

from core.errors import CampaignInvalid, ServiceFailed
from core.logging import get_logger
from core.settings import Settings
from simulation.habits import Habits
from simulation.mails import ONE_CLICK, InboxMail, links_in, mails_in, require_loopback

MAILS_AT_ONCE = 8
TRIES, PAUSE_SECONDS = 5, 0.5  # for an answer 503: the ledger is busy
HEADERS = {"User-Agent": "Mozilla/5.0 (Lapwing simulated reader)", "Accept-Language": "en"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReaderCounts:
    """What the simulated readers did, in distinct mails."""

    mails: int
    opened: int
    clicked: int
    unsubscribed: int


def read_inbox(  # noqa: PLR0913  # who the readers are is named share by share
    settings: Settings,
    *,
    seed: int = 7,
    open_share: float = 0.55,
    click_share: float = 0.25,
    unsubscribe_share: float = 0.04,
    base_url: str | None = None,
    send_ids: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ReaderCounts:
    """Let simulated readers go over the Maildir `settings.inbox`; return what they did.

    Parameters
    ----------
    seed, open_share, click_share, unsubscribe_share
        Who the readers are (shares 0 to 1; clicks and unsubscribes are shares of the opened mails).
    base_url
        Where the tracking service listens, if not where the mails say.
    send_ids
        Read only the mails of these sends; None reads them all.
    progress
        Called with (mails read, mails to read) after each mail.

    Raises
    ------
    SettingsError
        If a mail, or `base_url`, leads to another machine; nothing has been asked for then.
    ServiceFailed
        If the tracking service does not answer, or not as it must.
    CampaignInvalid
        If a mail has no pixel, no HTML part, or no one-click header.
    """
    mails = mails_in(settings.inbox, send_ids)
    for url in {base_url} if base_url else {mail.tracking_url for mail in mails}:
        require_loopback(url)
    habits = Habits(seed, open_share, click_share, unsubscribe_share)
    try:
        done = asyncio.run(_read_all(mails, habits, base_url, progress))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # the first that failed; the others were called off
    counts = ReaderCounts(len(mails), done["opened"], done["clicked"], done["unsubscribed"])
    figures = {"mails": counts.mails, "opened": counts.opened, "clicked": counts.clicked}
    get_logger(__name__).info("simulated readers done", **figures, unsubscribed=counts.unsubscribed)
    return counts


async def _read_all(
    mails: list[InboxMail], habits: Habits, base_url: str | None, progress: Progress | None
) -> Counter[str]:
    done: Counter[str] = Counter()
    waiting = iter(mails)
    async with httpx.AsyncClient(
        trust_env=False,  # no proxy: what is asked for must stay on this machine
        follow_redirects=False,
        timeout=30.0,
        headers=HEADERS,
    ) as client:
        reader = _Reader(client, habits, base_url)

        async def read_on() -> None:
            for mail in waiting:
                done.update(await reader.read(mail))
                done["read"] += 1
                if progress:
                    progress(done["read"], len(mails))

        async with asyncio.TaskGroup() as readers:
            for _ in range(MAILS_AT_ONCE):
                readers.create_task(read_on())
    return done


class _Reader:
    """Reads one mail at a time, as its habits say."""

    def __init__(self, client: httpx.AsyncClient, habits: Habits, base_url: str | None) -> None:
        self._client = client
        self._habits = habits
        self._base_url = base_url.rstrip("/") if base_url else None

    async def read(self, mail: InboxMail) -> list[str]:
        """Return what was done: of `opened`, `clicked`, `unsubscribed`."""
        habits, message_id = self._habits, mail.message_id
        if habits.draw("open", message_id) >= habits.open_chance(mail.address, mail.campaign_id):
            return []
        pixels, clicks = links_in(mail.html(), mail.tracking_url)
        if not pixels:
            raise CampaignInvalid(f"mail {message_id} has no pixel that leads to {mail.tracking_url}/o/")
        await self._ask(mail, "GET", pixels[0], 200)
        done = ["opened"]
        if clicks and habits.draw("click", message_id) < habits.click_chance(mail.address):
            chosen = clicks[int(habits.draw("link", message_id) * len(clicks))]
            await self._ask(mail, "GET", chosen, 302)
            done.append("clicked")
        if habits.draw("leave", message_id) < habits.unsubscribe_chance(mail.address):
            await self._ask(mail, "POST", mail.unsubscribe_url, 200)
            done.append("unsubscribed")
        return done

    async def _ask(self, mail: InboxMail, method: str, url: str, expected: int) -> None:
        local = (self._base_url or mail.tracking_url) + url.removeprefix(mail.tracking_url)
        body = dict([ONE_CLICK.split("=")]) if method == "POST" else None
        for left in reversed(range(TRIES)):
            try:
                answer = await self._client.request(method, local, data=body)
            except httpx.TransportError as error:
                raise ServiceFailed(
                    f"the tracking service does not answer ({type(error).__name__}); start it with `make up`"
                ) from error
            if answer.status_code != 503 or not left:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if answer.status_code != expected:
            path = local.split("/")[3]
            raise ServiceFailed(
                f"the tracking service answered {answer.status_code} instead of {expected} to {method} /{path}/…"
            )
