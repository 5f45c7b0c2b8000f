"""Local services come up together, say clearly why not, and go without leaving anything behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path

import psutil
import pytest

from cli import services
from cli.catalogue import Service
from cli.environment import airflow_environment
from cli.processes import ended_by_signals
from core.errors import ServiceFailed, SettingsError
from core.settings import Settings
from tests.cli import stand_ins


@pytest.fixture
def page(monkeypatch, free_port):
    """A stand-in service is the only one there is."""
    service = stand_ins.page(free_port)
    monkeypatch.setattr(services, "services", lambda _settings: [service])
    return service


def session_of(leader: int) -> list[int]:
    """The living processes of a session: the test's own look at what is left."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


def leaders(data_dir: Path) -> list[int]:
    return [pid for pid, _started in json.loads((data_dir / "processes.json").read_text())]


def test_a_service_answers_inside_and_is_gone_afterwards_with_its_children(settings, page):
    with services.running(settings, ["page"]) as processes:
        assert stand_ins.answers(page.port)
        leader = processes.running["page"].pid
        assert len(session_of(leader)) == 2  # itself and the child in another process group
    assert not stand_ins.answers(page.port)
    assert session_of(leader) == []


def test_services_are_stopped_when_the_body_fails(settings, page):
    found = []
    with pytest.raises(ZeroDivisionError), services.running(settings, ["page"]) as processes:  # noqa: PT012  # its body is the point
        found.append(processes.running["page"].pid)
        raise ZeroDivisionError
    assert session_of(found[0]) == []


def test_a_taken_port_is_named_with_the_setting_that_moves_it(settings, page):
    with socket.socket() as other:
        other.bind(("127.0.0.1", page.port))
        other.listen()
        with pytest.raises(ServiceFailed) as raised, services.running(settings, ["page"]):
            pass
    assert str(raised.value) == (
        f"port {page.port} (page) is in use by another program: stop that, or choose another port with "
        "LAPWING_PAGE_URL"
    )
    assert leaders(settings.data_dir) == []


def test_two_commands_cannot_work_in_one_data_folder(settings, page):
    with (
        services.running(settings, []),
        pytest.raises(ServiceFailed, match="another Lapwing command works in"),
        services.running(settings, ["page"]),
    ):
        pass
    with services.running(settings, ["page"]):  # the lock went with its holder
        assert stand_ins.answers(page.port)


def test_a_service_that_ends_is_reported_with_its_last_words(settings, monkeypatch):
    dying = Service("dying", (sys.executable, "-c", "raise SystemExit('no licence')"), lambda: False)
    monkeypatch.setattr(services, "services", lambda _settings: [dying])
    last_words = r"dying ended with code 1: no licence \(.*dying\.log\)"
    with pytest.raises(ServiceFailed, match=last_words), services.running(settings, ["dying"]):
        pass


def test_a_service_that_never_gets_ready_is_given_up_and_stopped(settings, page, monkeypatch):
    deaf = Service("page", page.command, lambda: False, port=page.port)
    monkeypatch.setattr(services, "services", lambda _settings: [deaf])
    monkeypatch.setattr(services, "READY_SECONDS", 1)
    with (
        pytest.raises(ServiceFailed, match="page was not ready after 1 s"),
        services.running(settings, ["page"]),
    ):
        pass
    assert not stand_ins.answers(page.port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_ends_well(tmp_path, free_port, number):
    program = stand_ins.start(tmp_path, free_port)
    (leader,) = leaders(tmp_path)
    time.sleep(1)  # until it waits, its table printed
    program.send_signal(number)
    printed, _ = program.communicate(timeout=30)
    assert program.returncode == 0
    assert f"http://127.0.0.1:{free_port}" in printed
    assert "Everything is stopped." in printed
    assert session_of(leader) == []


@pytest.mark.parametrize(
    ("number", "unwinding"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_that_comes_while_garbage_is_collected_is_not_lost(number, unwinding):
    class Garbage:
        pass

    def wait(garbage: Garbage) -> None:
        watched = weakref.ref(garbage, lambda _: os.kill(os.getpid(), number))
        del garbage
        assert watched() is None
        time.sleep(5)

    with pytest.raises(unwinding), ended_by_signals():
        wait(Garbage())


def test_what_a_killed_command_left_is_stopped_by_the_next(tmp_path, settings, page):
    program = stand_ins.start(tmp_path, page.port)
    (leader,) = leaders(tmp_path)
    program.kill()
    program.wait()
    if program.stdout:
        program.stdout.close()
    assert stand_ins.answers(page.port)  # nobody stopped it
    with services.running(settings, ["page"]) as processes:
        assert session_of(leader) == []
        assert processes.running["page"].pid != leader
        assert stand_ins.answers(page.port)


def test_a_process_that_was_given_a_remembered_number_is_left_alone(settings, page):
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as other:
        started_long_before = psutil.Process(other.pid).create_time() - 100
        (settings.data_dir / "processes.json").write_text(json.dumps([[other.pid, started_long_before]]))
        with services.running(settings, ["page"]):
            assert other.poll() is None
        other.kill()


def test_a_program_run_beside_the_services_returns_its_code_and_leaves_its_output(settings, page):
    with services.running(settings, ["page"]) as processes:
        code = processes.run("job", [sys.executable, "-c", "print('worked'); raise SystemExit(3)"])
        assert (code, processes.log("job").read_text()) == (3, "worked\n")
        processes.run("job", [sys.executable, "-c", "print('again')"])
        assert processes.log("job").with_suffix(".log.1").read_text() == "worked\n"


def test_the_environment_makes_the_same_settings_again(tmp_path, monkeypatch):
    settings = Settings(
        _env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True, currency="EUR", smtp_password="p"
    )
    for name, value in airflow_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings


def test_a_missing_secret_is_named_with_the_way_out(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY")
    monkeypatch.setattr("cli.environment.PROJECT", tmp_path)
    with pytest.raises(SettingsError, match="AIRFLOW__CORE__FERNET_KEY is missing: `make setup` writes it"):
        airflow_environment(settings)


def test_every_airflow_variable_we_set_is_one_that_airflow_knows(settings):
    from airflow.configuration import conf

    ours = [name for name in airflow_environment(settings) if name.startswith("AIRFLOW__")]
    assert len(ours) >= 11
    known = conf.configuration_description
    for name in ours:
        section, option = name.removeprefix("AIRFLOW__").lower().split("__", 1)
        assert option in known[section]["options"], name


def test_every_service_listens_on_this_machine_only_and_none_is_telemetered(settings):
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["DO_NOT_TRACK"] == "1"
    names = [service.name for service in services.services(settings)]
    assert names == [
        "inbox",
        "tracking",
        "console",
        "mlflow",
        "airflow",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    ]


def test_mail_and_mlflow_that_live_elsewhere_are_not_started_here(tmp_path):
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        token_key="k" * 40,
        smtp_host="mail.example",
        mlflow_url="http://mlflow.example",
    )
    names = {service.name for service in services.services(settings)}
    assert not names & {"inbox", "mlflow"}


@pytest.mark.slow
def test_airflow_gets_its_pool_and_a_run_left_running_is_marked_failed(settings, page):
    with services.running(settings, []) as processes:
        services.prepare_airflow(processes)()
        left = [sys.executable, "-c", LEAVE_A_RUN_RUNNING]
        assert processes.run("left", left) == 0, processes.log("left").read_text()
        services.prepare_airflow(processes)()
        assert "marked as failed, left running by an earlier process: daily manual__1" in (
            processes.log("airflow-prepare").read_text()
        )
        look = [sys.executable, "-c", LOOK]
        assert processes.run("look", look) == 0, processes.log("look").read_text()
        assert json.loads(processes.log("look").read_text().splitlines()[-1]) == {
            "pool_slots": 1,
            "run": "failed",
            "warehouse_slots_taken": 0,
        }


LEAVE_A_RUN_RUNNING = """
from datetime import UTC, datetime
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session

with create_session() as session:
    session.add(DagBundleModel(name="here"))
    session.flush()
    session.add(DagModel(dag_id="daily", bundle_name="here", fileloc="", is_stale=False))
    session.flush()
    session.add(DagRun(dag_id="daily", run_id="manual__1", run_type="manual", state="running",
                       run_after=datetime(2026, 1, 1, tzinfo=UTC)))
"""
LOOK = """
import json
from sqlalchemy import select
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.utils.session import create_session

with create_session() as session:
    pool = session.scalar(select(Pool).where(Pool.pool == "warehouse"))
    run = session.scalar(select(DagRun))
    print(json.dumps({"pool_slots": pool.slots, "run": run.state,
                      "warehouse_slots_taken": pool.occupied_slots(session=session)}))
"""
