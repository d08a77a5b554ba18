"""Builds the Dockerfile with buildah, and runs a build and the tests in the image, as its user.

    make docker-test

Needs root, buildah and debootstrap, but no container engine and no registry: the Dockerfile's base
is replaced by a Debian of debootstrap's. Where pip is configured on this machine (an index, a
certificate, folders of packages), that Debian is given the same.
"""

import argparse
import configparser
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parents[2]
CERTIFICATE = "etc/build-host.pem"
# What the tests read beside the package, which is the installed one.
TESTED = ("tests", "benchmarks", "hw", "flows", "boards", "docs", "pyproject.toml", "README.md")


def call(*arguments: str | Path) -> None:
    """Runs a command; its output is shown."""
    print("+", *arguments, flush=True)
    subprocess.run([str(each) for each in arguments], check=True)


def answer(*arguments: str | Path) -> str:
    """What a command prints."""
    done = subprocess.run(
        [str(each) for each in arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


class Buildah:
    """Buildah with a storage of its own, so that nothing is left of it."""

    def __init__(self, folder: Path) -> None:
        self.tool = (
            "buildah", "--storage-driver", "vfs",
            "--root", str(folder / "storage"), "--runroot", str(folder / "state"),
        )  # fmt: skip

    def __call__(self, *arguments: str | Path) -> None:
        """Runs a command."""
        call(*self.tool, *arguments)

    def answer(self, *arguments: str | Path) -> str:
        """What a command prints."""
        return answer(*self.tool, *arguments)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds and checks."""
    parser = argparse.ArgumentParser(description="Builds the Dockerfile and tests the image.")
    parser.add_argument("--scratch", type=Path, help="an existing folder with 15 GB [temporary]")
    parser.add_argument("tests", nargs="*", help="options for pytest [all tests]")
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory(dir=chosen.scratch) as scratch:
        folder = Path(scratch)
        buildah = Buildah(folder)
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
        print(buildah.answer("images", "--format", "{{.Name}} {{.Size}}"))
        container = buildah.answer("from", "sdq-fpga")
        inside = Path(buildah.answer("mount", container)) / "home" / "sdq" / "checkout"
        inside.mkdir()
        for name in TESTED:
            call("cp", "--recursive", CHECKOUT / name, inside)
        call("chown", "--recursive", "1000:1000", inside)
        run = ("run", "--isolation", "chroot", "--network", "host", container, "--")
        buildah(*run, "sdq-fpga", "build", "--board", "zcu104", "--run", "/project/run")
        buildah(*run, "sh", "-c", 'cd ~/checkout && exec pytest "$@"', "sh", *chosen.tests)


if __name__ == "__main__":
    main()
