import jinja2
import pytest

from ifrp_tf.core.rendering import markdown_table, render


def test_values_in_pages_are_escaped_and_the_style_sheet_is_inside():
    page = render("ifrp_tf.core", "page.html", title='<script>"&')
    assert "<h1>&lt;script&gt;&#34;&amp;</h1>" in page
    assert "font: 16px/1.5 system-ui" in page
    assert page.startswith("<!doctype html>")


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="title"):
        render("ifrp_tf.core", "page.html")


def test_a_table_in_markdown():
    lines = markdown_table(("a", "b", "c"), [("x|y", "", "1")], left=2).splitlines()
    assert lines == ["| a | b | c |", "| --- | --- | ---: |", "| x\\|y |  | 1 |"]
