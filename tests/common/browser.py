"""A browser for tests: opens a page of a service and fills the forms on its way.

    browser.py CA_FILE ADDRESS [FIELDS…]

FIELDS (`name=value&name=value`) go into the form of the page that was opened last, with what is in it already. Prints the last
page.
"""

import html
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

ca_file, address, *steps = sys.argv[1:]
context = ssl.create_default_context(cafile=ca_file)
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=context),
    urllib.request.HTTPCookieProcessor(),
)


def load(address, form=None):
    try:
        return opener.open(address, form).read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


page = load(address)
for step in steps:
    filled = re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', page)
    fields = {name: html.unescape(value) for name, value in filled} | dict(urllib.parse.parse_qsl(step))
    action = re.search(r'action="([^"]*)"', page)
    if not action:
        sys.exit(f"no form in {page}")
    address = urllib.parse.urljoin(address, html.unescape(action[1]))
    page = load(address, urllib.parse.urlencode(fields).encode())
print(page)
