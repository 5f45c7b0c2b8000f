"""Whether a simulated reader opens, clicks or leaves: the hidden truth behind the demo's figures.

Each decision is a number in [0, 1) drawn by hashing (seed, what is decided, Message-ID) and compared with a chance;
so the same inbox and seed always give the same readers' doings, in any order and however often they read.

    chance of an open      open_share * taste of the reader * appeal of the campaign, at most 0.95
    chance of a click      click_share * taste of the reader, at most 0.95; given an open
    chance of leaving      unsubscribe_share * (2 - taste of the reader), at most 0.95; given an open

A reader's taste is uniform in [0.4, 1.6], drawn from (seed, address); a campaign's appeal is uniform in [0.8, 1.2],
drawn from (seed, campaign). Both average 1, so over many readers and campaigns the shares come out as given, unless
the bound cuts them. Which link is clicked: each of the mail's as likely. Only `simulation` and tests may know this.
"""

import hashlib
from dataclasses import dataclass

MOST_LIKELY = 0.95


@dataclass(frozen=True)
class Habits:
    """Seed and average shares (0 to 1) of the simulated readers."""

    seed: int = 7
    open_share: float = 0.55
    click_share: float = 0.25
    unsubscribe_share: float = 0.04

    def taste(self, address: str) -> float:
        """Return how much this reader likes mail: 0.4 to 1.6, on average 1."""
        return 0.4 + 1.2 * self.draw("taste", address.strip().casefold())

    def appeal(self, campaign_id: str) -> float:
        """Return how much a campaign is liked: 0.8 to 1.2, on average 1."""
        return 0.8 + 0.4 * self.draw("appeal", campaign_id)

    def open_chance(self, address: str, campaign_id: str) -> float:
        return min(MOST_LIKELY, self.open_share * self.taste(address) * self.appeal(campaign_id))

    def click_chance(self, address: str) -> float:
        """Return the chance of a click on a mail that is open."""
        return min(MOST_LIKELY, self.click_share * self.taste(address))

    def unsubscribe_chance(self, address: str) -> float:
        """Return the chance that an open mail makes its reader leave."""
        return min(MOST_LIKELY, self.unsubscribe_share * (2 - self.taste(address)))

    def draw(self, *what: str) -> float:
        """Return a number in [0, 1) that nothing but the seed and these words decides."""
        digest = hashlib.sha256("|".join((str(self.seed), *what)).encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48
