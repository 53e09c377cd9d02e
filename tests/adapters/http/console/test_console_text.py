"""What others wrote is text on the page and nothing else: markdown and terminals."""

from __future__ import annotations

import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from adapters.http.console.markdown import CUT, LONGEST, as_safe_html, clean, render
from adapters.http.console.terminal_text import TerminalText, plain

HARMLESS_TAGS = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src='javascript:alert(1)'>",
    "<form action='/console/logout' method=post><button>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<body onload=alert(1)>",
    "<base href='//evil.example/'>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href='//evil.example/x.css'>",
    "<style>*{background:url(//evil.example)}</style>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<p id=query class=card data-send>x</p>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](//evil.example)",
    "[x](/console/logout)",
    "[x]( javascript:alert(1) 'title')",
    "[x](<javascript:alert(1)>)",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/pixel.png)",
    '![x](x"onerror="alert(1))',
    '[x](https://e.example/"onmouseover="alert(1))',
    '[x](https://e.example "title\\" onmouseover=\\"alert(1)")',
    "<javascript:alert(1)>",
    "<https://e.example/\"onmouseover='alert(1)'>",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "|a|b|\n|-|-|\n|<script>alert(1)</script>|<img src=x onerror=alert(1)>|",
    "# <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "* <script>\n  alert(1)\n  </script>",
    "\\<script>alert(1)\\</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\ue000script>alert(1)\ue000/script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<scr\x1b[0mipt>alert(1)</script>",
    "<\u200bscript>alert(1)</script>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",  # wide ones
    "</p></div></article><script>alert(1)</script>",
]
"""Ways to become script, a request or another page's words, collected from what has worked on others."""


class Active(HTMLParser):
    """What in a piece of HTML could do more than be read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in HARMLESS_TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            allowed = {"a": {"href", "title", "rel", "target"}, "ol": {"start"}}.get(tag, set())
            if name not in allowed:
                self.found.append(f"{tag} {name}={value}")
            if name == "href" and not (value or "").startswith(("http://", "https://", "mailto:")):
                self.found.append(f"href={value}")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"instruction {data}")


def only_scripts(html: str) -> list[str]:
    """What would run at once: elements that are not text, and attributes of them."""
    return [one for one in Active(html).found if one.startswith("<") or " on" in one]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_is_never_more_than_text_and_links(text: str) -> None:
    html = as_safe_html(text)

    assert [] == Active(html).found
    assert "evil.example/pixel.png" not in html or "<a href" in html


@pytest.mark.parametrize("text", HOSTILE)
def test_the_renderer_alone_lets_no_script_through(text: str) -> None:
    assert [] == only_scripts(render(text))


@pytest.mark.parametrize("html", HOSTILE)
def test_the_sanitiser_alone_lets_nothing_active_through(html: str) -> None:
    assert [] == Active(clean(html)).found


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a **bold** word", "<p>a <strong>bold</strong> word</p>\n"),
        ("Vec<String> and `a<b`", "<p>Vec&lt;String&gt; and <code>a&lt;b</code></p>\n"),
        ("a < b && c > d", "<p>a &lt; b &amp;&amp; c &gt; d</p>\n"),
        ("1. one\n2. two", "<ol>\n<li>one</li>\n<li>two</li>\n</ol>\n"),
        ("3. three", '<ol start="3">\n<li>three</li>\n</ol>\n'),
        ("~~no~~", "<p><del>no</del></p>\n"),
        (
            "[a](https://example.org)",
            '<p><a href="https://example.org" target="_blank" rel="noopener noreferrer nofollow">a</a></p>\n',
        ),
        ("```python\nx < 1\n```", "<pre><code>x &lt; 1\n</code></pre>\n"),
    ],
)
def test_markdown_is_shown_as_it_is_meant(text: str, html: str) -> None:
    assert html == as_safe_html(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "> " * 100_000,
        "*a " * 70_000,
        "- " * 100_000,
        "&" * 200_000,
        "<" * 200_000,
        "`" * 100_000 + "a" + "`a" * 50_000,
        "|" + "a|" * 500 + "\n|" + "-|" * 500 + "\n" + "|a|\n" * 40_000,
        "[a](" * 50_000,
        "\x1b]" * 100_000,
        "\r" * 200_000,
    ],
    ids=[
        "brackets",
        "quotes",
        "stars",
        "lists",
        "and",
        "less",
        "ticks",
        "cells",
        "links",
        "escapes",
        "returns",
    ],
)
def test_no_text_makes_markdown_slow(text: str) -> None:
    """Milliseconds where it is linear, minutes where it is not: the limit is far from both."""
    began = time.process_time()
    html = as_safe_html(text)

    assert time.process_time() - began < 2
    assert len(html) < 300_000


def test_what_is_long_is_cut_and_says_so() -> None:
    html = as_safe_html("word " * LONGEST)

    assert len(html) < LONGEST + 200
    assert CUT.strip() in html


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        ("plain\nlines\n", "plain\nlines\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[?25l\x1b[2J\x1b[H\x1b[10;20Hplaced\x1b[K", "placed"),
        ("\x1b[38:2::1:2:3mcolon\x1b[m", "colon"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://e.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c3RvbGVu\x07clipboard", "clipboard"),
        ("\x1bPq#0;2;0;0;0~-\x1b\\sixel", "sixel"),
        ("\x1b_Gf=100;AAAA\x1b\\image", "image"),
        ("\x1b(B\x1b)0\x1b7\x1b8\x1b=\x1b>\x1bcreset", "reset"),
        ("\x9b31meight bits\x9d0;t\x9c", "eight bits"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("bell\x07 back\x08space nul\x00 del\x7f", "bell backspace nul del"),
        ("tab\tstays", "tab\tstays"),
        ("\u202egnp.exe", "\N{REPLACEMENT CHARACTER}gnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\N{REPLACEMENT CHARACTER}width\N{REPLACEMENT CHARACTER}"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\x1b[<u\x1b[>4;2m\x1b[=5utext", "text"),
    ],
)
def test_of_what_a_terminal_printed_the_text_stays(printed: str, text: str) -> None:
    assert text == plain(printed)
    assert text == TerminalText().read(printed)


@pytest.mark.parametrize(
    "printed",
    [
        "a\x1b[1;31mred\x1b[0mb",
        "\x1b]0;a title\x07text",
        "\x1b]8;;https://e\x1b\\link",
        "\x1b(Bx\r\ny",
        "é\x9b1mü",
    ],
)
def test_sequences_may_come_in_any_pieces(printed: str) -> None:
    whole = plain(printed)

    for cut in range(len(printed) + 1):
        terminal = TerminalText()
        assert whole == terminal.read(printed[:cut]) + terminal.read(printed[cut:]), cut


def test_a_sequence_that_never_ends_holds_nothing_back_for_ever() -> None:
    terminal = TerminalText()

    shown = "".join(terminal.read(piece) for piece in ("\x1b]0;", "x" * 5_000, "still here\n"))

    assert "still here" in shown


@pytest.mark.parametrize("read", [plain, lambda text: TerminalText().read(text)])
@pytest.mark.parametrize(
    "printed", ["\x1b]" * 50_000, "\r" * 100_000, "\x1b[" + "0" * 100_000, "\x1b " * 50_000, "\x9b" * 100_000]
)
def test_no_output_makes_a_terminal_slow(read: Callable[[str], str], printed: str) -> None:
    began = time.process_time()
    read(printed)

    assert time.process_time() - began < 2
