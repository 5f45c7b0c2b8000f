"""An IMAP server of the tests' own: Dovecot in a temporary folder, as nobody in particular, gone afterwards.

Written for Dovecot 2.3 (Debian 12). `ada@juniper.example` with the password `right "one"\\` has one Maildir.
"""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "ada@juniper.example", 'right "one"\\'
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/certificate.pem
mail_location = maildir:{folder}/mail
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A server at work: `mail` is the Maildir it serves, `port` speaks in the clear, `tls_port` over TLS."""

    mail: Path
    port: int
    tls_port: int


@contextmanager
def running_dovecot(program: Path, certificate: Path) -> Iterator[Dovecot]:
    """Serve a Maildir on two free ports of 127.0.0.1.

    Everything belongs to an unprivileged user; where root runs the tests, to nobody.
    """
    folder = Path(tempfile.mkdtemp(prefix="lapwing-imap-"))
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(owner.pw_gid).gr_name
    dovecot = Dovecot(folder / "mail", *_free_ports())
    shutil.copy(certificate, folder / "certificate.pem")
    (folder / "passwords").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "dovecot.conf").write_text(
        CONFIGURATION.format(
            folder=folder, user=owner.pw_name, group=group, port=dovecot.port, tls_port=dovecot.tls_port
        )
    )
    for inside in ("", "cur", "new", "tmp"):
        (dovecot.mail / inside).mkdir()
    is_root = os.geteuid() == 0
    if is_root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    server = subprocess.Popen(
        [program, "-F", "-c", folder / "dovecot.conf"],
        user=owner.pw_uid if is_root else None,
        group=owner.pw_gid if is_root else None,
        extra_groups=[] if is_root else None,
    )
    try:
        _wait(server, folder / "log", dovecot.port, dovecot.tls_port)
        yield dovecot
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait(server: subprocess.Popen[bytes], log: Path, *ports: int) -> None:
    deadline = time.monotonic() + 30
    for port in ports:
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            said = log.read_text() if log.exists() else ""
            assert server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
