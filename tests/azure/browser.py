"""What a person does in a browser to whom a program shows a code: browser.py SERVICE CODE NAME, the password on standard input."""

import html.parser
import sys

import requests


class Form(html.parser.HTMLParser):
    """The hidden fields of a page's first form."""

    def __init__(self, page):
        super().__init__()
        self.fields, self.over = {}, False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input" and attributes.get("type") == "hidden" and not self.over:
            self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag):
        self.over |= tag == "form"


service, code, name = sys.argv[1:]
browser = requests.Session()
page = browser.get(f"{service}/device")
for typed in ({"user_code": code}, {"username": name, "password": sys.stdin.read().strip()}):
    page.raise_for_status()
    page = browser.post(f"{service}/device", data=Form(page.text).fields | typed)
page.raise_for_status()
assert "Signed in" in page.text, page.text
