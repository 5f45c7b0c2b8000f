"""Real mail servers of the tests' own: Postfix, Postfix's smtp-sink and Exim, each in a temporary folder.

They listen on a port of 127.0.0.1, take mail for everybody into one mailbox, pass nothing on, and are stopped and swept away
afterwards.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "nobody"  # whom the servers run as, and whose mailbox it is, where we are root
_POSTFIX_MAIN = """
compatibility_level = 3.6
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.test
alias_maps =
mynetworks = 127.0.0.1/32
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
queue_directory = {folder}/queue
data_directory = {folder}/state
multi_instance_name = postfix-of-a-test
multi_instance_enable = yes

# everybody has a mailbox here, the same one; whatever would go elsewhere fails
mydestination =
virtual_mailbox_domains = static:all
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:mails/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
default_transport = error
relay_transport = error

# but what goes to a server of a test's own, and comes back from there
transport_maps = inline:{{ {onward} }}
"""
_POSTFIX_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
smtp      unix  -       -       n       -       -       smtp
retry     unix  -       -       n       -       -       error
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
"""
_EXIM = """
primary_hostname = exim.test
exim_user = Debian-exim
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
pid_file_path = {folder}/pid
keep_environment = *
deliver_drop_privilege
smtp_accept_queue_per_connection = 0
tls_advertise_hosts =
acl_smtp_rcpt = accept

begin acl
accept:
  accept

begin routers
everybody:
  driver = accept
  transport = mails

begin transports
mails:
  driver = appendfile
  maildir_format
  directory = {folder}/mails
"""


@dataclass(frozen=True)
class MailServer:
    """A server that runs, and the folder in which it keeps a file for each mail it has taken."""

    port: int
    mails: Path
    trace: frozenset[bytes]
    """The fields it puts before a mail."""
    end: bytes = b""
    """What it puts behind one."""

    def arrived(self, count: int) -> list[bytes]:
        """Return the mails, once so many are there and a moment for one too many has passed."""
        deadline = time.monotonic() + 60 + count / 10
        while sum(1 for _ in self.mails.glob("*")) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        return [file.read_bytes() for file in self.mails.glob("*")]

    def without_trace(self, mail: bytes) -> bytes:
        """Return what was handed over of a mail as it lies in the folder: with the line ends of a file, LF."""
        lines = mail.removesuffix(self.end).splitlines(keepends=True)
        of_the_server = True
        for number, line in enumerate(lines):
            if not line.startswith((b" ", b"\t")):
                of_the_server = line.partition(b":")[0] in self.trace
            if not of_the_server:
                return b"".join(lines[number:])
        return b""


@contextmanager
def running_postfix(program: Path, onward: Mapping[str, int] | None = None) -> Iterator[MailServer]:
    """Run Postfix, which only root can: its parts change to users of their own.

    `onward`: domain → port of a server on this machine to which it passes that domain's mail.
    """
    with _folder() as folder:
        port, user = _free_port(), pwd.getpwnam(USER)
        for name in ("etc", "queue", "state"):
            (folder / name).mkdir()
        shutil.chown(folder / "state", "postfix")
        pairs = (onward or {"nowhere.test": 1}).items()
        relays = ", ".join(f"{{ {domain} = smtp:[127.0.0.1]:{server} }}" for domain, server in pairs)
        values = {"folder": folder, "onward": relays, "port": port, "uid": user.pw_uid, "gid": user.pw_gid}
        (folder / "etc/main.cf").write_text(_POSTFIX_MAIN.format(**values))
        (folder / "etc/master.cf").write_text(_POSTFIX_MASTER.format(**values))

        def tell(word: str) -> None:
            subprocess.run([program, "-c", folder / "etc", word], check=True, capture_output=True)

        tell("start")
        try:
            _wait_for(port)
            trace = frozenset({b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received"})
            yield MailServer(port, folder / "mails/new", trace)
        finally:
            tell("stop")


@contextmanager
def running_exim(program: Path) -> Iterator[MailServer]:
    """Run Exim as a user without rights, made to believe that this user is the one it was compiled for."""
    with _folder() as folder:
        port = _free_port()
        (folder / "exim.conf").write_text(_EXIM.format(folder=folder, port=port))
        mailbox = folder.stat()
        (folder / "passwd").write_text(f"Debian-exim:x:{mailbox.st_uid}:{mailbox.st_gid}::/:/bin/false\n")
        (folder / "group").write_text(f"Debian-exim:x:{mailbox.st_gid}:\n")
        (libraries,) = {file.parent for file in program.parents[1].glob("lib/*/libnss_wrapper.so")}
        environment = {
            "LD_LIBRARY_PATH": str(libraries),
            "LD_PRELOAD": str(libraries / "libnss_wrapper.so"),
            "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(folder / "group"),
        }
        with _running([program, "-C", folder / "exim.conf", "-bdf"], folder, port, environment):
            yield MailServer(port, folder / "mails/new", frozenset({b"Received"}))


@contextmanager
def running_sink(program: Path) -> Iterator[MailServer]:
    """Run Postfix's smtp-sink, which writes down what it takes."""
    with _folder() as folder:
        port = _free_port()
        (folder / "mails").mkdir(mode=0o777)
        shutil.chown(folder / "mails", folder.owner())
        with _running([program, "-d", "mails/", f"127.0.0.1:{port}", "100"], folder, port, {}):
            names = (b"Client-Addr", b"Client-Proto", b"Helo-Args", b"Mail-Args", b"Rcpt-Args")
            trace = frozenset({b"Received", *(b"X-" + name for name in names)})
            yield MailServer(port, folder / "mails", trace, end=b"\n")


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the servers' user owns."""
    folder = Path(tempfile.mkdtemp(prefix="lapwing-mail-"))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, USER, pwd.getpwnam(USER).pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(command: list[object], folder: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    owner, root = folder.stat(), os.geteuid() == 0
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        user=owner.st_uid if root else None,
        group=owner.st_gid if root else None,
        extra_groups=[] if root else None,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(port)
            yield
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # with the processes it has made


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
