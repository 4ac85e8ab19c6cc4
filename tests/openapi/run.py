"""Schemathesis over the description that a service serves, as one caller.

    run.py CALLER WORLD     CALLER: administrator, machine or nobody; WORLD: a JSON file that main.rs writes

What is excluded stands in schemathesis.toml, with the reason. STRONGROOM_OPENAPI_EXAMPLES makes more examples of each
operation than the few of every day, STRONGROOM_OPENAPI_SEED other ones.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys

import requests

HERE = pathlib.Path(__file__).parent
ID = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e"
RULES = {
    "zone": "UTC",
    "schedule": {"frequency": "Daily", "times": ["22:00:00"]},
    "retention": {"daily": {"times": ["22:00:00"], "keep": 30}},
}


class Service:
    """Calls, as the administrator or the machine."""

    def __init__(self, world):
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = world["ca"]
        self.url = world["url"]

    def call(self, method, path, token=None, **more):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.session.request(method, self.url + path, headers=headers, **more)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def token(self, form):
        return self.call("POST", "/api/v1/token", data=form)["access_token"]


def prepare(service, world):
    """Makes what paths and queries can name. Returns the tokens of callers, and names by parameter."""
    admin = service.token({"grant_type": "password", "username": "admin", "password": world["password"]})
    machine = service.token({"grant_type": "client_credentials", "client_assertion": world["assertion"]})
    post = lambda path, body: service.call("POST", "/api/v1" + path, admin, json=body)
    post("/resource-groups", {"name": "spare"})
    post("/vaults", {"name": "spare", "resource_group": "spare"})
    post("/users", {"name": "spare", "password": "correct horse battery"})
    post("/service-principals", {"name": "spare"})
    secret = post("/service-principals/spare/secrets", {"days": 30})
    spare = service.call("GET", "/api/v1/users/spare", admin)
    assignment = post("/role-assignments", {"principal": spare["id"], "role": "Backup Reader", "scope": "subscription"})
    vault = "/vaults/main"
    post(vault + "/policies", {"name": "spare", "workload": "FilesAndFolders", "rules": RULES})
    post(vault + "/items/b/stop", {"data": "Delete"})
    job = post(vault + "/items/a/backup", {})
    session = service.call("POST", "/api/v1/sessions", machine, json={})
    post("/resource-groups/spare/guards", {"name": "spare"})
    post("/vaults/spare/policies", {"name": "spare", "workload": "FilesAndFolders", "rules": RULES})
    service.call("PUT", "/api/v1/vaults/spare/guard", admin, json={"resource_group": "spare", "guard": "spare"})
    approval = post("/vaults/spare/approvals", {"operation": "LowerPolicy", "policy": "spare"})
    listed = lambda path, what: service.call("GET", "/api/v1" + path, admin)[what]
    names = {
        "vault": ["main", "spare"],
        "group": ["default", "spare"],
        "user": ["spare"],
        "principal": ["spare"],
        "key": [secret["key"]["id"]],
        "assignment": [assignment["id"]],
        "policy": ["DefaultPolicy", "spare"],
        "item": ["a", "b"],
        "job": [one["id"] for one in listed(vault + "/jobs", "jobs")],
        "alert": [one["id"] for one in listed(vault + "/alerts", "alerts")],
        "point": [one["id"] for one in listed(vault + "/points", "points")],
        "key_set": [one["id"] for one in service.call("GET", "/api/v1/key-sets", machine)["key_sets"]],
        "session": [session["id"]],
        "guard": ["spare"],
        "approval": [approval["id"]],
        "container": ["a", "b"],
    }
    assert all(names.values()), names
    return {"administrator": admin, "machine": machine, "nobody": None}, names


def configuration(names, folder):
    """The rules of schemathesis.toml, and the names that there are."""
    lines = [(HERE / "schemathesis.toml").read_text()]
    for name, values in names.items():
        lines.append(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n")
    lines.append("[parameters]\n")
    for name in names:
        lines.append(f'"path.{name}" = {{ dictionary = "{name}", probability = 0.8 }}\n')
    path = folder / "schemathesis.toml"
    path.write_text("".join(lines))
    return path


def main():
    caller, world = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
    folder = pathlib.Path(sys.argv[2]).parent
    service = Service(world)
    tokens, names = prepare(service, world)
    schemathesis = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration(names, folder))]
    command = schemathesis + [
        "run", world["url"] + "/api/openapi.json",
        "--seed", os.environ.get("STRONGROOM_OPENAPI_SEED", "1"),
        "--max-examples", os.environ.get("STRONGROOM_OPENAPI_EXAMPLES", "8"),
        "--tls-verify", world["ca"],
        "--no-color",
        *sys.argv[3:],
    ]
    if tokens[caller]:
        command += ["--header", f"Authorization:Bearer {tokens[caller]}"]
    # Proxies and authorities of the machine's own are not for a service of this test.
    foreign = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    environment |= {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


sys.exit(main())
