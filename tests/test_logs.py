import logging

from ifrp_tf import logs


def test_what_is_logged_goes_to_file_and_terminal_and_stops_after(tmp_path, capsys):
    path = tmp_path / "log.txt"
    before = list(logging.getLogger().handlers)
    for word in ("first", "second"):
        with logs.logged_to(path):
            logging.info("%s line", word)
            logging.debug("hidden")
    logging.info("later")
    assert logging.getLogger().handlers == before
    text = path.read_text()
    assert [line.split("INFO ")[1] for line in text.splitlines()] == ["first line", "second line"]
    shown = capsys.readouterr().err
    assert "first line" in shown
    assert "later" not in shown
