"""FINN as a library: nothing of it shows, and nothing of it stays."""

import logging
import os
import sys
import warnings
from pathlib import Path

import finn.util.settings
import pytest
from finn.util.basic import make_build_dir

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.finn_session import explained, finn_session

LOGGER = logging.getLogger("finn_logger")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "finn.log"


def state() -> tuple[object, ...]:
    """What a session may not change for good."""
    return (
        finn.util.settings._SETTINGS,
        LOGGER.propagate,
        LOGGER.level,
        LOGGER.disabled,
        list(LOGGER.handlers),
        list(logging.getLogger().handlers),
        list(warnings.filters),
        sys.stdout,
        sys.stderr,
        dict(os.environ),
        Path.cwd(),
    )


# explained


def explain(error: BaseException) -> BaseException:
    try:
        with explained("FINN could not fold the network", "report the node"):
            raise error
    except BaseException as found:
        return found


def test_no_error():
    with explained("FINN could not fold the network", "report the node"):
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("SIMD must divide MW"), "SIMD must divide MW"),
        (AssertionError("two\n  lines"), "two lines"),
        (AssertionError(), "AssertionError"),
        (KeyError("MVAU_0"), "'MVAU_0'"),
        (ValueError(" "), "ValueError"),
        (Exception("bare"), "bare"),
    ],
    ids=repr,
)
def test_whatever_finn_throws_becomes_a_sentence(error, said):
    found = explain(error)
    assert isinstance(found, StageError)
    assert str(found) == f"FINN could not fold the network ({said}); report the node."
    assert found.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        UserError("the network has a branch", "remove it"),
        StageError("the disk is full", "free some space"),
        OSError(28, "No space left on device"),
        FileNotFoundError("gone.dat"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=repr,
)
def test_our_own_errors_and_those_of_files_pass_through(error):
    assert explain(error) is error


# finn_session


def test_finn_writes_into_the_directory(work, log):
    with finn_session(work, log):
        assert Path(finn.util.settings.get_settings().finn_build_dir) == work
        made = Path(make_build_dir("probe_"))
    assert made.parent == work
    assert made.is_dir()


def test_everything_is_as_before(work, log):
    before = state()
    with finn_session(work, log):
        assert finn.util.settings._SETTINGS is not before[0]
    assert state() == before


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), UserError("a", "b")])
def test_everything_is_as_before_after_a_failure(work, log, error):
    before = state()
    with pytest.raises(type(error)), finn_session(work, log):
        raise error
    assert state() == before


def test_everything_is_as_before_when_the_log_can_not_be_written(work, tmp_path):
    before = state()
    with pytest.raises(OSError, match="gone"), finn_session(work, tmp_path / "gone" / "log"):
        pytest.fail("entered")
    assert state() == before


@pytest.mark.parametrize("propagate", [True, False])
def test_a_logger_that_the_user_has_set_up_is_given_back(work, log, monkeypatch, propagate):
    monkeypatch.setattr(LOGGER, "propagate", propagate)
    handler = logging.NullHandler()
    monkeypatch.setattr(LOGGER, "handlers", [handler])
    with finn_session(work, log):
        assert LOGGER.propagate is False
    assert LOGGER.propagate is propagate
    assert LOGGER.handlers == [handler]


def test_sessions_nest(work, log, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with finn_session(work, log):
        outer = finn.util.settings._SETTINGS
        with finn_session(other, log):
            assert Path(finn.util.settings.get_settings().finn_build_dir) == other
        assert finn.util.settings._SETTINGS is outer


def test_what_finn_prints_and_logs_goes_to_the_log(work, log, capfd, recwarn):
    log.write_text("of a stage before\n")
    with finn_session(work, log):
        print("printed")
        LOGGER.error("logged")
        warnings.warn("warned", stacklevel=1)
    lines = log.read_text().splitlines()
    assert lines == ["of a stage before", "printed", "logged"]
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert len(recwarn) == 0


def test_what_is_logged_does_not_reach_the_root_logger(work, log, caplog):
    with finn_session(work, log):
        LOGGER.error("logged")
    assert caplog.records == []


def test_output_works_again_afterwards(work, log, capsys):
    with finn_session(work, log):
        pass
    print("visible")
    assert capsys.readouterr().out == "visible\n"
    assert log.read_text() == ""


def test_the_home_directory_is_neither_read_nor_written(work, log, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("FINN_BUILD_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("FINN_SETTINGS", str(tmp_path / "settings.yaml"))
    (tmp_path / "settings.yaml").write_text("finn_rtllib: /elsewhere\n")
    with finn_session(work, log):
        settings = finn.util.settings.get_settings()
        assert Path(settings.finn_build_dir) == work
        assert Path(settings.finn_rtllib) == Path(finn.__file__).parent / "finn-rtllib"
    assert list(home.iterdir()) == []
    assert not (tmp_path / "elsewhere").exists()


def test_another_rtl_library(work, log, tmp_path):
    with finn_session(work, log, rtl_library=tmp_path / "rtllib"):
        assert finn.util.settings.get_settings().finn_rtllib == str(tmp_path / "rtllib")
