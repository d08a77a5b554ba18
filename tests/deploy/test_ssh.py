"""SSH to an emulated board: keys, cuts, full disks."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from click.testing import CliRunner
from echo import bundle, installed
from hypothesis import given
from hypothesis import strategies as st
from proxy import CutLine

from sdq_fpga.cli import main
from sdq_fpga.deploy.board import Board
from sdq_fpga.deploy.emulate.server import EmulatedBoard
from sdq_fpga.deploy.ssh import Login, Ssh, parse_login
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.progress import SilentProgress

LARGE = 400_000


class WithPassword(asyncssh.SSHServer):
    """Lets in whoever knows the word."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("ada", "open sesame")


@pytest.fixture
def password_login(tmp_path: Path) -> Iterator[Login]:
    """A server that takes a password and no keys."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), []

    async def listen() -> None:
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=WithPassword, server_host_keys=[host_key], gss_host=None
        )
        ports.append(server.get_port())
        ready.set()

    def serve() -> None:
        loop.create_task(listen())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(60)
    known = tmp_path / "known_hosts"
    public = host_key.export_public_key().decode().strip()
    known.write_text(f"[127.0.0.1]:{ports[0]} {public}\n")
    yield Login("127.0.0.1", "ada", ports[0], known_hosts=known, own_files=False)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("xilinx@192.168.2.99", ("xilinx", "192.168.2.99", None)),
        ("pynq", (None, "pynq", None)),
        ("xilinx@pynq.local:2222", ("xilinx", "pynq.local", 2222)),
        ("root@[fe80::1%eth0]:22", ("root", "fe80::1%eth0", 22)),
    ],
)
def test_logins(text, login):
    assert parse_login(text) == login


@pytest.mark.parametrize(
    "text",
    ["", "@pynq", "xilinx@", "xilinx:secret@pynq", "a b@pynq", "x@pynq:0", "x@pynq:99999",
     "-oProxyCommand=x", "x@-oProxyCommand=x", "x@pynq\n"],
)  # fmt: skip
def test_what_is_no_login(text):
    with pytest.raises(UserError) as caught:
        parse_login(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_login_or_a_user_error(text):
    with contextlib.suppress(UserError):
        parse_login(text)


def test_a_command_says_what_it_said_and_how_it_ended(emulated):
    ssh = Ssh(emulated.login)
    try:
        done = ssh.execute(["sh", "-c", "echo 'it''s'; echo no >&2; exit 7"])
        assert (done.code, done.out, done.err) == (7, "its\n", "no\n")
        assert ssh.execute(["echo", "$HOME; exit 3", "a'b"]).out == "$HOME; exit 3 a'b\n"
        assert ssh.execute(["pwd"]).out.strip().endswith("home")
    finally:
        ssh.close()


def test_another_host_key_is_refused(emulated, tmp_path):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{emulated.login.port} {other}")
    with pytest.raises(UserError, match=r"host key of 127\.0\.0\.1 is not the known one"):
        Ssh(replace(emulated.login, known_hosts=known))


def test_an_unknown_host_is_not_trusted_on_first_sight(emulated, tmp_path):
    known = tmp_path / "known_hosts"
    known.touch()
    with pytest.raises(UserError, match="ssh-keygen -R"):
        Ssh(replace(emulated.login, known_hosts=known))
    assert known.read_text() == ""


def test_known_hosts_that_are_no_text(emulated, tmp_path):
    known = tmp_path / "known_hosts"
    known.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"can't be read .*file of known hosts"):
        Ssh(replace(emulated.login, known_hosts=known))


def test_another_user_key_is_not_let_in(emulated, tmp_path):
    key = tmp_path / "id"
    key.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    with pytest.raises(UserError, match="does not let you in"):
        Ssh(replace(emulated.login, keys=(key,)))
    key.write_text("no key")
    with pytest.raises(UserError, match="key can't be used"):
        Ssh(replace(emulated.login, keys=(key,)))


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="there is no ssh-agent")
def test_a_key_of_the_agent_is_enough(emulated, tmp_path, monkeypatch):
    socket = tmp_path / "agent"
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))  # there are no keys in it
        stated = replace(emulated.login, keys=(), own_files=True)
        with pytest.raises(UserError, match="does not let you in"):
            Ssh(stated)
        while not socket.exists():
            assert agent.poll() is None
            time.sleep(0.01)
        (key,) = emulated.login.keys
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        ssh = Ssh(stated)
        try:
            assert ssh.execute(["echo", "in"]).out == "in\n"
        finally:
            ssh.close()
    finally:
        agent.terminate()
        agent.wait()


def test_a_password_lets_in_where_it_is_the_right_one(password_login):
    Ssh(replace(password_login, password="open sesame")).close()
    for wrong in ("close sesame", None):
        with pytest.raises(UserError, match="does not let you in"):
            Ssh(replace(password_login, password=wrong))


def test_a_password_is_asked_for_and_is_on_no_command_line(password_login, tmp_path, monkeypatch):
    """The command stops behind the login: the run directory has no build."""
    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options["hide_input"]))
        return "open sesame"

    logins = []
    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr(
        "sdq_fpga.stages.on_board.run_on_board",
        lambda run, way, **_: logins.append(way.login) or Ssh(way.login).close() or sys.exit(9),
    )
    address = f"ada@{password_login.host}:{password_login.port}"
    stated = ["run", str(tmp_path), "--board-host", address, "--throughput", "--ask-password"]
    done = CliRunner().invoke(main, [*stated, "--known-hosts", str(password_login.known_hosts)])
    assert done.exit_code == 9, done.output
    assert asked == [(f"Password on {address}", True)]
    assert [login.password for login in logins] == ["open sesame"]
    assert "sesame" not in done.output
    options = next(command for name, command in main.commands.items() if name == "run").params
    assert [each.name for each in options if "password" in each.name] == ["ask_password"]


def test_a_password_is_never_shown(emulated):
    assert "secret" not in repr(replace(emulated.login, password="secret"))


def test_the_server_is_for_this_machine_only_and_ends(disk, board_python):
    with EmulatedBoard(disk, board_python, "Pynq-Z2") as board:
        assert board.login.host == "127.0.0.1"
        login = board.login
    assert not list(disk.glob("keys-*")), "throwaway keys are thrown away"
    with pytest.raises(StageError, match="can't be reached"):
        Ssh(login, tries=1)


def test_a_copy_that_is_cut_goes_on_where_it_stopped(emulated, connect, disk, tmp_path):
    packed = bundle(padding=LARGE)
    with CutLine(emulated.login, [150_000, 200_000], tmp_path) as line:
        ssh = Ssh(line.login)
        try:
            board = Board(ssh, "python3", emulated.lock, "ada@lab")
            sent = []
            whole = ssh.put
            ssh.put = lambda data, path, tell: whole(
                data, path, lambda n: (sent.append(n), tell(n))
            )
            board.install(packed, SilentProgress())
        finally:
            ssh.close()
        assert line.happened == 2
    assert installed(disk) == [packed.digest]
    assert not list((disk / "home" / ".sdq-fpga" / "incoming").iterdir())
    assert len(packed.data) <= sum(sent) < 2 * len(packed.data)


def test_a_copy_that_is_given_up_leaves_nothing_half_installed(emulated, connect, disk, tmp_path):
    packed = bundle(padding=LARGE)
    with (
        CutLine(emulated.login, [150_000] + [0] * 20, tmp_path) as line,
        pytest.raises(StageError, match=r"can't be reached .*the same command goes on"),
        connect(login=line.login, tries=2) as board,
    ):
        board.install(packed, SilentProgress())
    assert installed(disk) == []
    (part,) = (disk / "home" / ".sdq-fpga" / "incoming").iterdir()
    before = part.stat().st_size
    assert 0 < before < len(packed.data)
    sent = []
    with connect() as board:
        whole = board.transport.put
        board.transport.put = lambda data, path, tell: whole(data, path, sent.append)
        board.install(packed, SilentProgress())
    assert sum(sent) == len(packed.data) - before
    assert installed(disk) == [packed.digest]


def test_a_copy_that_is_damaged_on_its_way_is_sent_again(connect, disk):
    packed = bundle(padding=LARGE)
    with connect() as board:
        whole, turns = board.transport.put, []

        def damaged(data: bytes, path: str, tell) -> None:
            turns.append(path)
            whole(data[:-1] + b"x" if len(turns) == 1 else data, path, tell)

        board.transport.put = damaged
        board.install(packed, SilentProgress())
    assert len(turns) == 2
    assert installed(disk) == [packed.digest]


def test_a_full_disk_on_the_board(connect, disk):
    packed = bundle()
    with connect() as board:
        board.call("identify")
        with pytest.raises(StageError, match=r"disk of xilinx@127\.0\.0\.1 is full"):
            name = ".sdq-fpga/incoming/full"
            (disk / "home" / name).symlink_to("/dev/full")
            board.transport.put(packed.data, name, lambda _: None)
        board.call = lambda *arguments: (
            {"board": "Pynq-Z2", "free": 10}
            if arguments == ("identify",)
            else {"installed": False, "have": 0}
        )
        with pytest.raises(StageError, match=r"disk of xilinx@127\.0\.0\.1 is full"):
            board.install(packed, SilentProgress())
    assert installed(disk) == []
