"""Which of caniemail's features a page uses: elements, attributes, properties, units, at-rules and kinds of selectors."""

import re
from html.parser import HTMLParser

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_UNIT = re.compile(r"(?<![\w#.-])-?[\d.]+(px|em|rem|ex|ch|vh|vw|vmin|vmax|cm|mm|in|pc|pt|%)")
_GROUPS = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "html-h1-h6"),
    **dict.fromkeys(("ul", "ol", "li", "dl"), "html-lists"),
    **dict.fromkeys(("section", "article", "nav", "header", "footer", "main", "aside"), "html-semantics"),
    **dict.fromkeys(("tbody", "tr", "td"), "html-table"),
}
_SELECTORS = {
    r"\.[\w-]": "css-selector-class",
    r"#[\w-]": "css-selector-id",
    r">": "css-selector-child",
    r"\w\s+[\w.#]": "css-selector-descendant",
    r"\w\.\w": "css-selector-chaining",
    r",": "css-selector-grouping",
    r"\[": "css-selector-attribute",
    r"(^|[\s,>])[a-z]": "css-selector-type",
    r"\*": "css-selector-universal",
    r"\+": "css-selector-adjacent-sibling",
    r"~": "css-selector-general-sibling",
}


class Features(HTMLParser):
    """Collects the features of a page under caniemail's names, as far as it has one for them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._in_style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self.found |= {_GROUPS.get(tag, f"html-{tag}")}
        for name, value in attrs:
            self.found.add(f"html-{name}")
            if name == "style":
                self._declarations(value or "")
            if name == "content" and ("name", "color-scheme") in attrs:
                self.found.add("html-meta-color-scheme")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._sheet(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def _sheet(self, css: str) -> None:
        for rule, condition in re.findall(r"@([\w-]+)([^{;]*)", css):
            self.found.add(f"css-at-{rule}")
            self.found |= {f"css-at-{rule}-{each}" for each in re.findall(r"\(([\w-]+)", condition)}
        for selector, body in _RULE.findall(css):
            self.found |= {
                name for pattern, name in _SELECTORS.items() if re.search(pattern, selector.strip())
            }
            self.found |= {f"css-pseudo-class-{each}" for each in re.findall(r"(?<!:):([\w-]+)", selector)}
            self.found |= {f"css-pseudo-element-{each}" for each in re.findall(r"::([\w-]+)", selector)}
            self._declarations(body)

    def _declarations(self, css: str) -> None:
        for declaration in css.split(";"):
            name, _, value = (part.strip().lower() for part in declaration.partition(":"))
            if not name or name.startswith(("mso-", "-")):
                continue
            self.found |= {f"css-{name}", f"css-{name}-{value}"}
            self.found |= {f"css-unit-{'percent' if unit == '%' else unit}" for unit in _UNIT.findall(value)}
            self.found |= {f"css-function-{each}" for each in re.findall(r"([\w-]+)\(", value)}
            self.found |= {f"css-{each}" for each in re.findall(r"(rgba?|\w+-gradient)\(", value)}
            if "!important" in value:
                self.found.add("css-important")
            if name in ("left", "right", "top", "bottom"):
                self.found.add("css-left-right-top-bottom")
