"""sdq-fpga report: the page of a finished build is written again, and shown on request."""

from sdq_fpga.integrity import check_integrity


def test_the_page_is_made_again_and_opened(tiny_build, monkeypatch):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    page, opened = run / "report.html", []
    before = page.read_bytes()
    page.unlink()
    monkeypatch.setattr("click.launch", opened.append)
    done = terminal.call("report", str(run))
    assert (done.code, done.out, opened) == (0, f"{page}\n", []), done.err
    assert page.read_bytes() == before
    done = terminal.call("report", str(run), "--open")
    assert done.code == 0, done.err
    assert opened == [page.as_uri()]
    assert check_integrity(run).faults == ()
