"""A page as a browser's parser sees it."""

from __future__ import annotations

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements, attributes and texts of a page as a browser's parser sees them."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.texts = {}
        self.inside = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        while self.inside and self.elements[self.inside.pop()][0] != tag:
            pass

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside[-1]] = self.texts.get(self.inside[-1], "") + data

    def contents(self, tag):
        return [self.texts.get(i, "") for i, (name, _) in enumerate(self.elements) if name == tag]

    def islands(self):
        return [
            json.loads(self.texts[i])
            for i, (_, attributes) in enumerate(self.elements)
            if attributes.get("class") == "island"
        ]
