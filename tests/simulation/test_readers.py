import pytest

from core.errors import CampaignInvalid, ServiceFailed, SettingsError
from core.settings import Settings
from simulation.readers import ReaderCounts, read_inbox
from tests.simulation.kit import a_mail, fill_inbox
from tests.tracking.kit import LINK_ID, logged, make_ledger, send_id_of, serving, suppressed
from tracking.app import create_app

PUBLIC = "https://mail.juniper.example"
MAILS = 120


def doings(settings: Settings) -> dict[str, set[str]]:
    """Return the sends that were opened, clicked, unsubscribed, as the tracking service saw them."""
    found: dict[str, set[str]] = {"open": set(), "click": set(), "unsubscribe": set()}
    for event in logged(settings):
        assert event["is_machine"] is False
        found[str(event["kind"])].add(str(event["send_id"]))
    return found


@pytest.fixture
def read(settings: Settings):
    make_ledger(settings, sends_count=MAILS)
    fill_inbox(settings, MAILS, tracking_url=PUBLIC)
    with serving(create_app(settings)) as url:
        yield lambda **options: read_inbox(settings, base_url=url, unsubscribe_share=0.2, **options)


def test_what_readers_say_they_did_is_what_the_service_saw_and_the_ledger_keeps(read, settings):
    steps: list[tuple[int, int]] = []
    counts = read(progress=lambda done, total: steps.append((done, total)))
    seen = doings(settings)
    sizes = [len(seen[kind]) for kind in ("open", "click", "unsubscribe")]
    assert counts == ReaderCounts(MAILS, *sizes)
    assert MAILS > sizes[0] > sizes[1] > 0
    assert sizes[2] > 0
    assert seen["click"] | seen["unsubscribe"] <= seen["open"]
    assert {row[2] for row in suppressed(settings)} == seen["unsubscribe"]
    assert {event["link_id"] for event in logged(settings) if event["kind"] == "click"} == {LINK_ID}
    assert steps == [(done, MAILS) for done in range(1, MAILS + 1)]


def test_reading_twice_ends_in_the_same_sets_and_another_seed_does_not(read, settings):
    first = read()
    once = doings(settings)
    assert read() == first
    assert doings(settings) == once
    read(seed=8)
    assert doings(settings) != once


def test_only_the_sends_asked_for_are_read(read, settings):
    asked = {send_id_of(number) for number in range(30)}
    assert read(send_ids=asked).mails == 30
    assert doings(settings)["open"] <= asked


def test_inbox_that_is_not_there_has_no_mails(settings):
    assert read_inbox(settings) == ReaderCounts(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("in_the_mail", "base_url"),
    [(PUBLIC, None), ("http://127.0.0.1:9", PUBLIC), ("http://localhost.evil.example", None)],
)
def test_readers_refuse_to_leave_this_machine(settings, in_the_mail, base_url):
    fill_inbox(settings, 1, tracking_url=in_the_mail)
    with pytest.raises(SettingsError, match="stay on this machine"):
        read_inbox(settings, open_share=1.0, base_url=base_url)


def test_service_that_is_down_or_answers_wrongly_is_one_clear_sentence(settings, free_port):
    fill_inbox(settings, 20, tracking_url=f"http://127.0.0.1:{free_port}")
    with pytest.raises(ServiceFailed, match="does not answer"):
        read_inbox(settings)
    make_ledger(settings)
    other = settings.model_copy(update={"data_dir": settings.data_dir / "other"})
    other.data_dir.mkdir()
    make_ledger(other, sends_count=1)  # a ledger that does not know most of these sends
    with (
        serving(create_app(other)) as url,
        pytest.raises(ServiceFailed, match="404 instead of 200 to POST /u/"),
    ):
        read_inbox(settings, base_url=url, open_share=1.0, click_share=0.0, unsubscribe_share=1.0)


def test_mail_without_one_click_header_is_named(settings):
    fill_inbox(settings, 1, tracking_url=PUBLIC)
    (file,) = (settings.inbox / "new").iterdir()
    broken = a_mail(settings, 0, PUBLIC).replace(b"List-Unsubscribe-Post", b"X-Other")
    file.write_bytes(broken)
    with pytest.raises(CampaignInvalid, match=f"{send_id_of(0)}.*RFC 8058"):
        read_inbox(settings, base_url="http://127.0.0.1:1")
