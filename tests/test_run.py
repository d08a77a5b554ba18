"""Run directories: what is skipped, and what survives a kill, a full disk and a meddler."""

import contextlib
import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.run import Run, RunDirectory, digest, open_run, read_manifest, write_atomically

DEADLINE_S = 60  # for a child process to end; only a hang reaches it

Make = Callable[[Path], None]


def writes(**files: str) -> Make:
    """A stage that writes these files; ``__`` in a name is a directory separator."""

    def make(out: Path) -> None:
        for name, text in files.items():
            path = out / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return make


def build(directory: Path, text: str = "one") -> list[str]:
    """A build in miniature: two stages and two files at the top. Says which stages were run."""

    def search(out: Path) -> None:
        trained = (directory / "train" / "net.bin").read_text(encoding="utf-8")
        (out / "policy.json").write_text(trained.upper(), encoding="utf-8")

    with open_run(directory) as run:
        run.write("settings.json", f"{text}\n".encode())
        train = writes(net__bin="", metrics=f"metrics of {text}", **{"net.bin": text * 500})
        run.stage("train", {"text": text}, (), train)
        run.stage("search", {}, ("train",), search)
        run.write("report.json", f"report of {text}\n".encode())
        return run.ran


def tree(directory: Path) -> dict[str, bytes | None]:
    """Every visible file with its bytes, and every visible directory."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    }


def check_whole(directory: Path, *finished: dict[str, bytes | None]) -> None:
    """Every visible file is as one of the finished builds has it, bit for bit.

    And every stage that the manifest names is there in full.
    """
    names = set().union(*finished)
    for name, data in tree(directory).items():
        if name == "manifest.json":
            continue
        assert name in names
        assert data in [each.get(name) for each in finished], f"{name} is half written"
    for name, record in read_manifest(directory).stages.items():
        files = [path for path in (directory / name).rglob("*") if path.is_file()]
        assert record.outputs == {
            path.relative_to(directory / name).as_posix(): hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for path in files
        }


def test_a_pinned_stage_is_taken_whatever_went_in_but_not_damaged(tmp_path):
    build(tmp_path)
    with open_run(tmp_path) as run:
        run.pin(["train"])
        run.stage("train", {"text": "two"}, (), writes(metrics="other"))
        assert run.ran == []
    (tmp_path / "train" / "metrics").write_text("other")
    with open_run(tmp_path) as run:
        run.pin(["train"])
        with pytest.raises(StageError, match="train/metrics is not what the stage wrote"):
            run.stage("train", {"text": "two"}, (), writes(metrics="other"))


def in_child(task: Callable[[], object]) -> int:
    """Runs ``task`` in a process of its own; its exit code, negative for the signal it died of."""
    process = multiprocessing.get_context("fork").Process(target=task)
    process.start()
    process.join(DEADLINE_S)
    assert process.exitcode is not None, "the child hangs"
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes | None]]:
    """What a build that nothing disturbs ends in, by its text."""
    trees = {}
    for text in ("one", "two"):
        directory = tmp_path_factory.mktemp("undisturbed")
        build(directory, text)
        trees[text] = tree(directory)
    return trees


# What is run, and what is skipped


def test_every_stage_runs_once(tmp_path):
    assert build(tmp_path) == ["train", "search"]
    assert build(tmp_path) == []


def test_outputs_are_where_the_stage_is_called(tmp_path):
    with open_run(tmp_path / "run") as run:
        out = run.stage("train", {}, (), writes(net="weights", rtl__top="module"))
    assert out == tmp_path / "run" / "train"
    assert (out / "net").read_text() == "weights"
    assert (out / "rtl" / "top").read_text() == "module"


def test_changed_inputs_run_the_stage_and_those_after_it(tmp_path):
    build(tmp_path, "one")
    assert build(tmp_path, "two") == ["train", "search"]
    assert (tmp_path / "search" / "policy.json").read_text() == "TWO" * 500


def test_a_stage_made_again_keeps_nothing_of_before(tmp_path):
    for files in ({"a": "1", "b": "1"}, {"a": "2"}):
        with open_run(tmp_path) as run:
            out = run.stage("train", files, (), writes(**files))
    assert tree(out) == {"a": b"2"}


def two_stages(directory: Path, inputs: str, output: str) -> list[str]:
    with open_run(directory) as run:
        run.stage("train", {"inputs": inputs}, (), writes(net=output))
        run.stage("search", {}, ("train",), writes(policy="4 bits"))
        return run.ran


def test_the_same_outputs_upstream_do_not_run_the_stages_after_it(tmp_path):
    assert two_stages(tmp_path, "one", "weights") == ["train", "search"]
    assert two_stages(tmp_path, "two", "weights") == ["train"]


def test_other_outputs_upstream_run_the_stages_after_it(tmp_path):
    assert two_stages(tmp_path, "one", "weights") == ["train", "search"]
    assert two_stages(tmp_path, "two", "other weights") == ["train", "search"]


def test_a_renamed_output_upstream_runs_the_stages_after_it(tmp_path):
    for name in ("a", "b"):
        with open_run(tmp_path) as run:
            run.stage("train", {"name": name}, (), writes(**{name: "weights"}))
            run.stage("search", {}, ("train",), writes(policy="4 bits"))
            assert run.ran == ["train", "search"]


def test_a_stage_that_does_not_depend_on_the_changed_one_is_skipped(tmp_path):
    for text in ("one", "two"):
        with open_run(tmp_path) as run:
            run.stage("train", {}, (), writes(net="weights"))
            run.stage("export", {"text": text}, (), writes(model=text))
            run.stage("search", {}, ("train",), writes(policy="4 bits"))
            ran = run.ran
    assert ran == ["export"]


def test_going_back_to_earlier_inputs_runs_again(tmp_path):
    for text in ("one", "two", "one"):
        assert build(tmp_path, text) == ["train", "search"]


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), min_size=2))
def test_digest_does_not_depend_on_the_order_of_keys(data):
    assert digest(data) == digest(dict(reversed(data.items())))
    assert digest(data) != digest({**data, next(iter(data)): "something else"})


def test_a_stage_that_throws_leaves_nothing_and_is_run_next_time(tmp_path):
    def broken(out: Path) -> None:
        (out / "half").write_text("half")
        raise ValueError("no")

    with open_run(tmp_path) as run:
        run.stage("train", {}, (), writes(net="weights"))
        with pytest.raises(ValueError, match="no"):
            run.stage("search", {}, ("train",), broken)
    assert set(tree(tmp_path)) == {"manifest.json", "train", "train/net"}
    with open_run(tmp_path) as run:
        run.stage("train", {}, (), writes(net="weights"))
        run.stage("search", {}, ("train",), writes(policy="4 bits"))
        assert run.ran == ["search"]
    assert tree(tmp_path / "search") == {"policy": b"4 bits"}


# Equal builds, equal bytes


def test_two_directories_end_in_the_same_bytes(tmp_path, undisturbed):
    other = tmp_path / "somewhere" / "else"
    build(other)
    assert tree(other) == undisturbed["one"]
    assert set(tree(other)) == {
        "manifest.json",
        "report.json",
        "search",
        "search/policy.json",
        "settings.json",
        "train",
        "train/metrics",
        "train/net",
        "train/net.bin",
        "train/net/bin",
    }


def test_a_detour_leaves_no_trace(tmp_path, undisturbed):
    build(tmp_path, "two")
    build(tmp_path, "one")
    assert tree(tmp_path) == undisturbed["one"]


def test_a_second_build_changes_no_byte(tmp_path, undisturbed):
    build(tmp_path)
    build(tmp_path)
    assert tree(tmp_path) == undisturbed["one"]


def test_the_manifest_holds_only_hashes(tmp_path):
    build(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert set(manifest) == {"format", "stages"}
    assert set(manifest["stages"]) == {"train", "search"}
    for stage in manifest["stages"].values():
        assert set(stage) == {"key", "outputs", "after"}
    outputs = manifest["stages"]["train"]["outputs"]
    assert outputs["net.bin"] == hashlib.sha256(b"one" * 500).hexdigest()


# Killed


BEFORE = pytest.mark.parametrize("before", [None, "two"], ids=["afresh", "over an older build"])


@BEFORE
def test_killed_before_every_step_on_the_file_system(tmp_path, undisturbed, before):
    """SIGKILL before the k-th rename, mkdir, unlink, ... of a build, for every k."""

    def die_at(fatal: int, directory: Path) -> None:
        count = itertools.count(1)

        def wrap(call: Callable) -> Callable:
            def step(*args: object, **kwargs: object) -> object:
                if next(count) == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return step

        for name in ("rename", "replace", "mkdir", "unlink", "rmdir", "fsync"):
            setattr(os, name, wrap(getattr(os, name)))
        build(directory)

    for fatal in itertools.count(1):
        directory = tmp_path / str(fatal)
        if before is not None:
            build(directory, before)
        code = in_child(lambda fatal=fatal, directory=directory: die_at(fatal, directory))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        check_whole(directory, *undisturbed.values())
        build(directory)
        assert tree(directory) == undisturbed["one"], f"killed before step {fatal}"
        assert [path.name for path in directory.glob(".*")] == [".lock"]
    # Two stages, each with a mkdir, a rename and a new manifest, and two files at the top.
    assert fatal > 25


@BEFORE
def test_killed_in_the_middle_of_every_file(tmp_path, undisturbed, before):
    """The kernel kills the build when a file grows over a limit: half of it is written then."""

    def die_over(limit: int, directory: Path) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python turns it off
        build(directory)

    for limit in itertools.count(0, 61):
        directory = tmp_path / str(limit)
        if before is not None:
            build(directory, before)
        code = in_child(lambda limit=limit, directory=directory: die_over(limit, directory))
        if code == 0:
            break
        assert code == -signal.SIGXFSZ
        check_whole(directory, *undisturbed.values())
        build(directory)
        assert tree(directory) == undisturbed["one"], f"killed after {limit} bytes of a file"
        assert [path.name for path in directory.glob(".*")] == [".lock"]
    assert limit > 1000  # every file of the build was cut at some limit


# Writes half of a file, says so, and waits for the end of its standard input.
SCRIPT = """
import subprocess
import sys
from pathlib import Path

from sdq_fpga.run import open_run

directory, grandchild = Path(sys.argv[1]), sys.argv[2:]

def train(out):
    with (out / "net.bin").open("wb", buffering=0) as file:
        file.write(b"half")
        pid = subprocess.Popen(grandchild, close_fds=False).pid if grandchild else 0
        print(pid, flush=True)
        sys.stdin.read()
        file.write(b" and half")

def search(out):
    (out / "policy.json").write_bytes((directory / "train" / "net.bin").read_bytes())

with open_run(directory) as run:
    run.stage("train", {}, (), train)
    run.stage("search", {}, ("train",), search)
"""


def command(directory: Path, *grandchild: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(directory), *grandchild]


def finish(directory: Path) -> None:
    subprocess.run(command(directory), stdin=subprocess.DEVNULL, check=True, timeout=DEADLINE_S)


@contextlib.contextmanager
def in_its_first_stage(directory: Path, *grandchild: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """The script, with half of a file written; with the process number of its own child."""
    with subprocess.Popen(
        command(directory, *grandchild), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_killed_inside_a_stage(tmp_path):
    finish(tmp_path / "undisturbed")
    directory = tmp_path / "killed"
    with in_its_first_stage(directory) as (process, _):
        assert (directory / ".train.tmp" / "net.bin").read_bytes() == b"half"
        assert set(tree(directory)) == {"manifest.json"}
        process.kill()
        assert process.wait(DEADLINE_S) == -signal.SIGKILL
    assert set(tree(directory)) == {"manifest.json"}
    finish(directory)
    assert tree(directory) == tree(tmp_path / "undisturbed")
    assert (directory / "train" / "net.bin").read_bytes() == b"half and half"


def test_what_killed_builds_left_is_removed(tmp_path):
    build(tmp_path)
    for name in (".train.tmp", ".scratch-abc", ".export.tmp"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_text("half")
    (tmp_path / ".other.json.tmp").write_text("half")
    build(tmp_path)
    assert [path.name for path in tmp_path.glob(".*")] == [".lock"]


def test_hidden_things_of_the_users_own_are_left_alone(tmp_path):
    """As those of an editor or of a version control system."""
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "objects" / "precious").write_text("work of a year")
    (tmp_path / ".hidden").write_text("mine")
    build(tmp_path)
    build(tmp_path)
    assert (tmp_path / ".git" / "objects" / "precious").read_text() == "work of a year"
    assert (tmp_path / ".hidden").read_text() == "mine"


# Locked


def test_another_process_has_it(tmp_path):
    with in_its_first_stage(tmp_path) as (process, _):
        with pytest.raises(UserError, match=f"another build is using {tmp_path}; ") as caught:
            build(tmp_path)
        assert caught.value.exit_code == 2
        assert (tmp_path / ".train.tmp" / "net.bin").read_bytes() == b"half"
        process.kill()
        process.wait(DEADLINE_S)
        assert build(tmp_path) == ["train", "search"]


def test_the_same_process_has_it(tmp_path):
    with open_run(tmp_path), pytest.raises(UserError, match="another build is using"):
        build(tmp_path)
    assert build(tmp_path) == ["train", "search"]


def test_a_tool_that_outlives_the_build_does_not_hold_the_lock(tmp_path):
    tool = [sys.executable, "-c", "import sys; sys.stdin.read()"]  # ends when the test does
    with in_its_first_stage(tmp_path, *tool) as (process, pid):
        process.kill()
        process.wait(DEADLINE_S)
        os.kill(pid, 0)  # it lives
        assert build(tmp_path) == ["train", "search"]


def test_the_lock_is_freed_by_an_exception(tmp_path):
    with pytest.raises(ZeroDivisionError), open_run(tmp_path):
        raise ZeroDivisionError
    assert build(tmp_path) == ["train", "search"]


# Meddled with


def manifest_error(directory: Path) -> str:
    with pytest.raises(StageError) as caught:
        build(directory)
    assert caught.value.exit_code == 1
    assert str(directory / "manifest.json") in str(caught.value)
    assert f"run {directory} is corrupted" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"manifest"',
        b"\x7fELF\x02\x01\x01",
        bytes(range(256)),
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b"{}{}",
        b'{"format": 2, "stages": {}}',
        b'{"format": "one", "stages": {}}',
        b'{"format": 1, "stages": []}',
        b'{"format": 1, "stages": {"train": "done"}}',
        b'{"format": 1, "stages": {"train": {"key": "abc", "outputs": {}}}}',
        b'{"format": 1, "stages": {"train": {"outputs": {}}}}',
        b'{"format": 1, "stages": {}, "time": 0}',
        json.dumps({"stages": {"train": {"key": "0" * 64, "outputs": {"net": 3}}}}).encode(),
        json.dumps({"stages": {"train": {"key": "0" * 64, "outputs": ["net"]}}}).encode(),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_manifest_that_is_none(tmp_path, content):
    build(tmp_path)
    (tmp_path / "manifest.json").write_bytes(content)
    manifest_error(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == content


def test_a_manifest_cut_anywhere(tmp_path):
    build(tmp_path)
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        manifest_error(tmp_path)
    path.write_bytes(whole)
    assert build(tmp_path) == []


def test_a_directory_in_place_of_the_manifest(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    manifest_error(tmp_path)


def change_one_bit(stage: Path) -> str:
    data = bytearray((stage / "net.bin").read_bytes())
    data[700] ^= 1
    (stage / "net.bin").write_bytes(data)
    return "train/net.bin"


def cut(stage: Path) -> str:
    os.truncate(stage / "net.bin", 10)
    return "train/net.bin"


def remove(stage: Path) -> str:
    (stage / "metrics").unlink()
    return "train/metrics"


def add(stage: Path) -> str:
    (stage / "net" / "extra").write_text("")
    return "train/net/extra"


def add_hidden(stage: Path) -> str:
    (stage / ".extra").write_text("")
    return "train/.extra"


def rename(stage: Path) -> str:
    (stage / "metrics").rename(stage / "metrics.bak")
    return "train/metrics"


def make_directory(stage: Path) -> str:
    (stage / "metrics").unlink()
    (stage / "metrics").mkdir()
    return "train/metrics"


def empty(stage: Path) -> str:
    shutil.rmtree(stage)
    stage.mkdir()
    return "train/metrics"


def replace_by_file(stage: Path) -> str:
    shutil.rmtree(stage)
    stage.write_text("train")
    return "train/metrics"


@pytest.mark.parametrize(
    "meddle",
    [
        change_one_bit,
        cut,
        remove,
        add,
        add_hidden,
        rename,
        make_directory,
        empty,
        replace_by_file,
    ],
)
def test_outputs_that_have_changed_are_named(tmp_path, undisturbed, meddle):
    build(tmp_path)
    name = meddle(tmp_path / "train")
    with pytest.raises(StageError) as caught:
        build(tmp_path)
    assert caught.value.exit_code == 1
    assert f"run {tmp_path} is corrupted: {name} is not what the stage wrote" in str(caught.value)
    # What the message advises helps.
    assert f"delete {tmp_path / 'train'} to make it again" in caught.value.fix
    if (tmp_path / "train").is_dir():
        shutil.rmtree(tmp_path / "train")
    else:
        (tmp_path / "train").unlink()
    assert build(tmp_path) == ["train"]
    assert tree(tmp_path) == undisturbed["one"]


@pytest.mark.parametrize("meddle", [change_one_bit, empty, replace_by_file, shutil.rmtree])
def test_changes_to_a_stage_that_is_made_anew_do_not_matter(tmp_path, undisturbed, meddle):
    build(tmp_path, "two")
    meddle(tmp_path / "train")
    assert build(tmp_path, "one") == ["train", "search"]
    assert tree(tmp_path) == undisturbed["one"]


def test_outputs_that_were_only_touched_are_the_same(tmp_path):
    build(tmp_path)
    os.utime(tmp_path / "train" / "net.bin", (0, 0))
    assert build(tmp_path) == []


def test_require(tmp_path):
    with open_run(tmp_path) as run:
        with pytest.raises(UserError, match="has not finished its stage train; "):
            run.require("train")
        run.stage("train", {}, (), writes(net="weights"))
        run.require("train")
    with open_run(tmp_path) as run:
        run.require("train")
        (tmp_path / "train" / "net").write_text("others")
        with pytest.raises(StageError, match="train/net is not what the stage wrote; "):
            run.require("train")
        shutil.rmtree(tmp_path / "train")
        with pytest.raises(UserError, match="has not finished its stage train; "):
            run.require("train")


def test_require_a_stage_that_read_what_has_since_been_made_anew(tmp_path):
    """A build with other settings was cut: its first stages no longer go with the last ones."""
    build(tmp_path, "one")
    with open_run(tmp_path) as run:
        run.stage("train", {"text": "two"}, (), writes(net="other weights"))
        run.require("train")
        with pytest.raises(UserError, match="has not finished its stage search; "):
            run.require("search")
    build(tmp_path, "one")
    with open_run(tmp_path) as run:
        run.require("search")


# Not a run directory


def test_a_directory_with_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("work of a year")
    with pytest.raises(UserError, match=r"is not a run directory: it holds thesis\.tex; "):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(UserError, match=f"{path} can't be a run directory") as caught:
        build(path)
    assert "--run" in caught.value.fix
    with pytest.raises(UserError, match=f"{path}/below can't be a run directory"):
        build(path / "below")
    assert path.read_text() == "mine"


def test_a_name_that_no_file_system_takes(tmp_path):
    with pytest.raises(StageError, match="the run directory failed on a file"):
        build(tmp_path / ("x" * 300))


def test_a_relative_path_and_a_link_are_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("run")
    (tmp_path / "run").mkdir()
    assert build(Path("run")) == ["train", "search"]
    assert build(tmp_path / "link") == []
    with open_run(Path("link")) as run:
        assert run.directory == tmp_path / "run"


# Failures of stages


def failing(error: Exception) -> Make:
    def make(out: Path) -> None:
        raise error

    return make


def failure(directory: Path, error: Exception) -> Exception:
    """What a stage that throws ``error`` ends in."""
    with open_run(directory) as run, pytest.raises((type(error), StageError)) as caught:
        run.stage("train", {}, (), failing(error))
    return caught.value


@pytest.mark.parametrize(
    "error",
    [UserError("a", "b"), StageError("a", "b"), ValueError("a"), KeyError("a"), RuntimeError("a")],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_that_has_nothing_to_do_with_files_passes_through(tmp_path, error):
    assert failure(tmp_path, error) is error


def test_a_failure_on_a_file_is_a_sentence(tmp_path):
    error = failure(tmp_path, FileNotFoundError(errno.ENOENT, "No such file", "gone.onnx"))
    assert isinstance(error, StageError)
    assert "train failed on a file" in str(error)
    assert "gone.onnx" in str(error)
    assert "full" not in str(error)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_however_deep_it_was_met(tmp_path, code):
    full = OSError(code, os.strerror(code))
    wrapped = StageError("the compiler failed", "see its log")
    wrapped.__cause__ = RuntimeError("in between")
    wrapped.__cause__.__context__ = OSError(code, os.strerror(code))
    for error in (full, wrapped):
        said = failure(tmp_path, error)
        assert isinstance(said, StageError)
        assert f"the disk of {tmp_path} is full, in train; " in str(said)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_is_not_explained_away(tmp_path, error):
    with open_run(tmp_path) as run, pytest.raises(type(error)):
        run.stage("train", {}, (), failing(error))
    assert set(tree(tmp_path)) == {"manifest.json"}


# A full disk


def mount(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


def grow(disk: Path) -> None:
    assert mount("-o", "remount,size=8m", str(disk)).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command, so no small disk to fill")
    mounted = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path))
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is refused: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Writes a file until the disk is full."""
    with pytest.raises(OSError, match="No space left") as caught, path.open("wb", 0) as file:
        while True:
            file.write(bytes(4096))
    assert caught.value.errno == errno.ENOSPC


def large_build(directory: Path) -> list[str]:
    with open_run(directory) as run:
        run.stage("train", {}, (), writes(net="weights"))
        run.stage("search", {}, ("train",), writes(a="a" * 600_000, b="b" * 600_000))
        return run.ran


def full(directory: Path, task: Callable[[Path], object]) -> None:
    with pytest.raises(StageError) as caught:
        task(directory)
    assert caught.value.exit_code == 1
    assert f"the disk of {directory} is full, in " in str(caught.value)
    assert "free some space" in caught.value.fix


def test_a_stage_that_fills_the_disk(tmp_path, disk):
    large_build(tmp_path / "undisturbed")
    full(disk / "run", large_build)
    assert set(tree(disk / "run")) == {"manifest.json", "train", "train/net"}
    full(disk / "run", large_build)  # still
    grow(disk)
    assert large_build(disk / "run") == ["search"]
    assert tree(disk / "run") == tree(tmp_path / "undisturbed")


def test_a_disk_that_others_fill(disk, undisturbed):
    """At every point of a build: before it, in a stage, and while its results are published."""
    directory, filler = disk / "run", disk / "filler"

    def filling(out: Path) -> None:
        writes(net="weights")(out)
        fill(filler)

    def publish(directory: Path) -> None:
        with open_run(directory) as run:
            run.stage("train", {}, (), filling)

    fill(filler)
    full(directory, build)
    filler.unlink()
    full(directory, publish)
    filler.unlink()
    build(directory, "two")
    fill(filler)
    full(directory, build)
    filler.unlink()
    build(directory)
    assert tree(directory) == undisturbed["one"]


def test_a_tool_that_does_not_say_why_it_failed_on_a_full_disk(disk):
    def tool(out: Path) -> None:
        fill(out / "objects")
        raise RuntimeError("internal compiler error")

    def one_stage(directory: Path) -> None:
        with open_run(directory) as run:
            run.stage("train", {}, (), tool)

    full(disk / "run", one_stage)


def test_a_file_at_the_top_keeps_its_old_content_when_the_disk_is_full(disk):
    path = disk / "report.json"
    write_atomically(path, b"old")
    fill(disk / "filler")
    for size in (1, 100, 10_000, 2_000_000):
        with pytest.raises(OSError, match="No space left") as caught:
            write_atomically(path, b"n" * size)
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == b"old"
    assert {each.name for each in disk.iterdir()} == {"report.json", "filler"}
    with pytest.raises(StageError, match=f"the disk of {disk} is full, in report.json; "):
        RunDirectory(disk, Run()).write("report.json", b"new")
    (disk / "filler").unlink()
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
