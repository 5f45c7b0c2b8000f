"""Makes a mail's HTML safe to look at: nothing is fetched, nothing is followed, so looking is no open and no click.

The mail is parsed and written anew from what is allowed. The page that shows it adds two more locks: a sandboxed
frame without scripts and a content policy that loads nothing.
"""

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser

Attributes = list[tuple[str, str | None]]

DROPPED_WITH_CONTENT = frozenset({"script", "iframe", "object", "noscript", "template", "svg", "math"})
DROPPED = frozenset({"link", "base", "meta", "embed", "form", "input", "button", "area", "frame", "frameset"})
DROPPED_ATTRIBUTES = frozenset(
    {"href", "xlink:href", "action", "formaction", "ping", "srcset", "target", "srcdoc", "lowsrc", "dynsrc"}
)
FETCHED_ATTRIBUTES = frozenset({"src", "background", "poster", "data"})
VOID = frozenset({"br", "hr", "img", "col", "wbr", "source", "track"})

# A phone shows no scroll bar beside the mail; without this the frame would be narrower than the phone.
FRAME_STYLE = "<style>html{scrollbar-width:thin} @media (max-width:480px){html{scrollbar-width:none}}</style>"
PLACEHOLDER = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/%3E"
_IMPORT = re.compile(r"@import[^;]*;?", re.IGNORECASE)
_REMOTE = re.compile(r"url\(\s*['\"]?(?!data:)[^)]*\)", re.IGNORECASE)
_CHUNK = 2_048
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9:_-]*", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_PADDING = re.compile("[\u00ad\u034f\u200b-\u200f\u2007\u2060\ufeff\\s]+")


def safe_html(html: str, leads_to: Callable[[str], str]) -> str:
    """Return the mail without anything that loads, runs or navigates.

    `leads_to` names where an address of the mail leads once redirected; it becomes the link's tooltip.
    """
    writer = _Writer(leads_to)
    writer.feed(html)
    writer.close()
    return "<!doctype html>" + FRAME_STYLE + "".join(writer.written)


def preheader_of(html: str) -> str:
    """Return the first hidden text of the body (what mail programs show beside the subject), or nothing."""
    reader = _Preheader()
    start = max(html.find("<body"), 0)
    for position in range(start, len(html), _CHUNK):
        reader.feed(html[position : position + _CHUNK])
        if reader.is_done:  # it stands at the very beginning; the rest of the mail is long
            break
    return _PADDING.sub(" ", "".join(reader.text)).strip()


class _Writer(HTMLParser):
    def __init__(self, leads_to: Callable[[str], str]) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self._leads_to = leads_to
        self._dropping: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if tag in DROPPED_WITH_CONTENT:
            self._dropping.append(tag)
        if (
            self._dropping
            or tag in DROPPED
            or not _PLAIN_NAME.fullmatch(tag)
            or (tag == "img" and _is_pixel(dict(attrs)))
        ):
            return
        kept = "".join(_attribute(name, value) for name, value in self._rewritten(tag, attrs))
        self.written.append(f"<{tag}{kept}>")

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        if tag not in DROPPED_WITH_CONTENT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            if tag == self._dropping[-1]:
                self._dropping.pop()
            return
        if tag not in DROPPED | VOID and _PLAIN_NAME.fullmatch(tag):
            self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._dropping:
            return
        is_style = self.cdata_elem == "style"
        self.written.append(
            _local_style(data).replace("</", "<\\/") if is_style else escape(data, quote=False)
        )

    def _rewritten(self, tag: str, attrs: Attributes) -> Attributes:
        kept: Attributes = []
        for name, value in attrs:
            if name.startswith("on") or name in DROPPED_ATTRIBUTES or not _PLAIN_NAME.fullmatch(name):
                continue
            if name in FETCHED_ATTRIBUTES and not (value or "").startswith("data:image/"):
                kept += [("src", PLACEHOLDER)] if tag == "img" else []
            else:
                kept.append((name, _local_style(value) if name == "style" and value else value))
        href = dict(attrs).get("href")
        if tag == "a" and href:
            kept += [
                ("role", "link"),
                ("aria-disabled", "true"),
                ("title", f"Leads to {self._leads_to(href)}"),
            ]
        return kept


class _Preheader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._depth = 0
        self.is_done = False

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if tag in VOID or self.is_done:
            return
        if self._depth:
            self._depth += 1
        elif _HIDDEN.search(dict(attrs).get("style") or ""):
            self._depth = 1

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in VOID:
            self._depth -= 1
            self.is_done = self._depth == 0

    def handle_data(self, data: str) -> None:
        if self._depth and not self.is_done:
            self.text.append(data)


def _is_pixel(attributes: dict[str, str | None]) -> bool:
    return {attributes.get("width"), attributes.get("height")} <= {"0", "1", "0px", "1px"}


def _local_style(style: str) -> str:
    return _REMOTE.sub("none", _IMPORT.sub("", style))


def _attribute(name: str, value: str | None) -> str:
    return f" {name}" if value is None else f' {name}="{escape(value)}"'
