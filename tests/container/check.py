"""Builds the Dockerfile with buildah, and runs a build and the tests in the image, as its user.

    make docker-test

What the image has built is made again outside, from its lock, and must have the same bytes.

Needs root, buildah and debootstrap, but no container engine and no registry: the Dockerfile's base
is replaced by a Debian of debootstrap's. Where pip is configured on this machine (an index, a
certificate, folders of packages), that Debian is given the same.
"""

import argparse
import configparser
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parents[2]
CERTIFICATE = "etc/build-host.pem"
# What the tests read beside the package, which is the installed one.
TESTED = ("tests", "benchmarks", "hw", "flows", "boards", "docs", "pyproject.toml", "README.md")
GIB = 2**30
ROOM = {"overlay": 14, "vfs": 18}  # GiB that it takes at the most
BEGAN = time.monotonic()


def call(*arguments: str | Path, temporary: Path | None = None) -> None:
    """Runs a command; it is shown, with the seconds since the beginning, and so is its output.

    Args:
        arguments: the command.
        temporary: its folder for temporary files, if not this machine's.
    """
    print(f"[{time.monotonic() - BEGAN:4.0f} s] +", *arguments, flush=True)
    subprocess.run([str(each) for each in arguments], check=True, env=environment(temporary))


def answer(*arguments: str | Path, temporary: Path | None = None) -> str:
    """What a command prints; arguments as of ``call``."""
    done = subprocess.run(
        [str(each) for each in arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(temporary),
    )
    return done.stdout.strip()


def environment(temporary: Path | None) -> dict[str, str]:
    """The variables of a command."""
    return dict(os.environ) if temporary is None else os.environ | {"TMPDIR": str(temporary)}


class Buildah:
    """Buildah with a storage of its own (``buildah_in``).

    Attributes:
        driver: how layers are stored: "overlay", or "vfs", which copies an image for each.
    """

    def __init__(self, folder: Path, driver: str) -> None:
        self.driver = driver
        self.folder = folder
        self.tool = (
            "buildah", "--storage-driver", driver,
            "--root", str(folder / driver), "--runroot", str(folder / f"{driver}-state"),
        )  # fmt: skip

    def __call__(self, *arguments: str | Path) -> None:
        """Runs a command."""
        call(*self.tool, *arguments, temporary=self.folder)

    def answer(self, *arguments: str | Path) -> str:
        """What a command prints."""
        return answer(*self.tool, *arguments, temporary=self.folder)

    def works(self) -> bool:
        """Whether this machine has what the driver needs."""
        done = subprocess.run([*self.tool, "info"], capture_output=True, check=False)
        return done.returncode == 0


@contextmanager
def buildah_in(folder: Path) -> Iterator[Buildah]:
    """Buildah with its storage in a folder; nothing of it is mounted afterwards."""
    overlay = Buildah(folder, "overlay")
    buildah = overlay if overlay.works() else Buildah(folder, "vfs")
    try:
        yield buildah
    finally:
        buildah("rm", "--all")
        # That driver mounts its own folder on itself.
        storage = folder / overlay.driver / overlay.driver
        while storage.is_mount():
            call("umount", storage)


def check_room(folder: Path, gib: int) -> None:
    """Ends the program if a folder has less room than that."""
    free = shutil.disk_usage(folder).free / GIB
    if free < gib:
        sys.exit(f"{folder} has {free:.0f} GiB free, and {gib} are needed; name another folder "
                 "with --scratch, or in TMPDIR")  # fmt: skip


def pip_settings() -> tuple[dict[str, str], list[Path]]:
    """This machine's settings of pip, and the local files and folders that they name."""
    settings, local = {}, []
    for line in answer(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'")
    for value in settings.values():
        for each in value.split():
            path = Path(urlsplit(each).path)
            if each.startswith(("file:", "/")) and path.exists():
                # The links of an index lead to files beside it.
                local.append(path.parent if each.startswith("file:") else path)
    return settings, list(dict.fromkeys(local))


def make_base(folder: Path) -> list[Path]:
    """Makes a Debian with this machine's settings of pip; returns what must be mounted for them."""
    call("debootstrap", "--variant=minbase", "bookworm", folder)
    settings, local = pip_settings()
    if certificate := settings.get("cert"):
        shutil.copyfile(certificate, folder / CERTIFICATE)
        settings["cert"] = f"/{CERTIFICATE}"
        local.remove(Path(certificate))
    if settings:
        config = configparser.ConfigParser(interpolation=None)
        config["global"] = settings
        with (folder / "etc" / "pip.conf").open("w", encoding="utf-8") as file:
            config.write(file)
    return local


def build_image(buildah: Buildah, folder: Path) -> list[str]:
    """Builds the image ``sdq-fpga``; returns the options of ``buildah run`` for pip's settings."""
    local = make_base(folder / "base")
    mounts = [f"--volume={path}:{path}:ro" for path in local]
    container = buildah.answer("from", "scratch")
    buildah("add", "--quiet", container, folder / "base", "/")
    buildah("commit", "--quiet", "--rm", container, "stand-in")
    shutil.rmtree(folder / "base")
    buildah(
        "build", "--isolation", "chroot", "--network", "host", "--build-arg", "BASE=stand-in",
        *mounts, "--tag", "sdq-fpga", CHECKOUT,
    )  # fmt: skip
    print(buildah.answer("images", "--format", "{{.Name}} {{.Size}}"), flush=True)
    return mounts


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds and checks."""
    parser = argparse.ArgumentParser(description="Builds the Dockerfile and tests the image.")
    parser.add_argument("--scratch", type=Path, help="an existing folder with room [temporary]")
    parser.add_argument("tests", nargs="*", help="options for pytest [all tests]")
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory(dir=chosen.scratch) as scratch, buildah_in(Path(scratch)) as buildah:
        folder = Path(scratch)
        check_room(folder, ROOM[buildah.driver])
        mounts = build_image(buildah, folder)
        container = buildah.answer("from", "sdq-fpga")
        inside = Path(buildah.answer("mount", container))
        checkout = inside / "home" / "sdq" / "checkout"
        checkout.mkdir()
        for name in TESTED:
            call("cp", "--recursive", CHECKOUT / name, checkout)
        call("chown", "--recursive", "1000:1000", checkout)
        run = ("run", "--isolation", "chroot", "--network", "host", *mounts, container, "--")
        buildah(*run, "sdq-fpga", "build", "--board", "zcu104", "--run", "/project/run")
        lock = inside / "project" / "run" / "build.lock.json"
        outside = Path(sys.executable).with_name("sdq-fpga")
        call(outside, "reproduce", lock, "--run", folder / "again", "--cache", folder / "cache")
        buildah(*run, "sh", "-c", 'cd ~/checkout && exec pytest "$@"', "sh", *chosen.tests)
        print(f"[{time.monotonic() - BEGAN:4.0f} s] done")


if __name__ == "__main__":
    main()
