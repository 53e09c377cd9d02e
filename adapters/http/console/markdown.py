"""Markdown of a model, or of an agent, as HTML that can do nothing.

Whoever wrote into a file that an agent read may have written the markdown. So it is made harmless twice: a
`<` never reaches the renderer, so there is no HTML in it (it is shown as it was written), and what comes out
passes nh3's list of tags, attributes and schemes. An image becomes a link: fetching one would tell its server
who reads. Links open elsewhere and say nothing of where they were followed from.

How long it takes is nobody's to choose either: what is long is cut, and what nests deeply or swells (both
cost nh3 far more than their size) is shown as it was written.
"""

from __future__ import annotations

import html
import re
from typing import Final

import nh3
import pyromark

from adapters.http.console.terminal_text import plain

LONGEST: Final = 32_000
"""Characters that are rendered, in 20 ms at most. A model's answer has half as many."""

CUT: Final = "\n\n(It goes on: the rest is left out here.)"

_LONGEST_HTML: Final = 200_000
_DEEPEST: Final = 50
_LESS_THAN: Final = "\ue000"  # for private use: stands for < while the renderer sees the text
_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_VOID: Final = frozenset({"br", "hr"})
_IMAGE: Final = re.compile(r'<img src="([^"]*)" alt="([^"]*)"[^>]*>')

_TAGS: Final = frozenset(
    {"h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "ul", "ol", "li"}
    | {"a", "code", "del", "em", "strong", "table", "tbody", "td", "th", "thead", "tr"}
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_MARKDOWN: Final = pyromark.Markdown(
    options=pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH
)


def as_safe_html(text: str) -> str:
    """HTML of `text`, fit to stand in a page as it is."""
    text = plain(text)
    if len(text) > LONGEST:
        text = text[:LONGEST] + CUT
    rendered = render(text)
    if len(rendered) > _LONGEST_HTML or _is_deep(rendered):
        return f"<pre>{html.escape(text)}</pre>"
    return clean(rendered)


def render(text: str) -> str:
    """HTML in which nothing that `text` has of HTML is more than text."""
    hidden = text.replace(_LESS_THAN, "").replace("<", _LESS_THAN)
    rendered = _IMAGE.sub(r'<a href="\1">image: \2</a>', _MARKDOWN.html(hidden))
    return rendered.replace(_LESS_THAN, "&lt;")


def clean(rendered: str) -> str:
    """HTML without anything that is not on the lists above."""
    return nh3.clean(
        rendered,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _is_deep(rendered: str) -> bool:
    depth = 0
    for tag in _TAG.finditer(rendered):
        if tag[1]:
            depth -= 1
        elif tag[2] not in _VOID:
            depth += 1
            if depth > _DEEPEST:
                return True
    return False
