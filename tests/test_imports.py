"""Functions of the user's own, and what decides what they do."""

import sys

import pytest

from sdq_fpga.imports import source_digest

FILES = {
    "theirs/__init__.py": "",
    "theirs/nets.py": "import json\nfrom .parts.blocks import WIDTH\nfrom common import deep\n"
    "def make_net():\n    return WIDTH\n",
    "theirs/parts/__init__.py": "",
    "theirs/parts/blocks.py": "WIDTH = 3\n",
    "theirs/other.py": "",
    "common/deep.py": "from common import deeper\n",
    "common/deeper.py": "",
}


def forget():
    for name in list(sys.modules):
        if name.partition(".")[0] in {"theirs", "common"}:
            del sys.modules[name]


@pytest.fixture
def digest(tmp_path, monkeypatch):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.chdir(tmp_path)

    def of_changed(name):
        path = tmp_path / name
        path.write_text(f"{FILES[name]}# changed\n")
        forget()
        found = source_digest("theirs.nets:make_net")
        path.write_text(FILES[name])
        forget()
        return found

    yield of_changed
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


def test_a_digest_follows_all_that_is_imported_and_nothing_else(digest):
    names = [name for name in FILES if name != "theirs/other.py"]
    found = [digest(name) for name in names]
    assert len(set(found)) == len(names)
    alone = digest("theirs/other.py")
    assert alone not in found
    __import__("theirs.other")
    __import__("common.deeper")
    assert source_digest("theirs.nets:make_net") == alone
    forget()
