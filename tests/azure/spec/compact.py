#!/usr/bin/env python3
"""Makes specification.json and examples.json from a checkout of azure-rest-api-specs.

    compact.py SPECIFICATION_FOLDER

Kept is what a validator needs: operations with their schemas, definitions with discriminators and enumerations, and the
examples as they are. Descriptions go. Definitions get the name of their file in front, as some names occur twice.
"""
import json
import os
import sys

PROVIDER = "resource-manager/Microsoft.RecoveryServices/stable/2024-04-01"
FILES = [
    f"recoveryservicesbackup/{PROVIDER}/bms.json",
    f"recoveryservices/{PROVIDER}/vaults.json",
    f"recoveryservices/{PROVIDER}/registeredidentities.json",
    f"recoveryservices/{PROVIDER}/vaultusages.json",
    f"recoveryservices/{PROVIDER}/replicationusages.json",
]
KEPT = {"x-ms-discriminator-value"}


class Compact:
    def __init__(self, root):
        self.root = root
        self.loaded, self.definitions, self.operations, self.examples = {}, {}, {}, []

    def load(self, path):
        path = os.path.normpath(path)
        if path not in self.loaded:
            with open(path, encoding="utf-8-sig") as file:
                self.loaded[path] = json.load(file)
        return self.loaded[path]

    def name(self, path, reference):
        """The compact name of a reference in a file; takes the definition over."""
        other, _, pointer = reference.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), other)) if other else path
        kind, definition = pointer.strip("/").split("/")
        stem = "-".join([os.path.basename(os.path.dirname(file)), os.path.basename(file)]) if "common" in file else os.path.basename(file)
        name = f"{stem.removesuffix('.json')}.{definition}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.schema(file, self.load(file)[kind][definition])
        return name

    def schema(self, path, value):
        if isinstance(value, list):
            return [self.schema(path, member) for member in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$ref"), str):
            return {"$ref": self.name(path, value["$ref"])}
        kept = {}
        for key, member in value.items():
            if key == "properties" and isinstance(member, dict):
                kept[key] = {name: self.schema(path, one) for name, one in member.items()}
            elif key in ("description", "title", "default", "readOnly", "example") or (key.startswith("x-") and key not in KEPT):
                continue
            else:
                kept[key] = self.schema(path, member)
        return kept

    def file(self, path):
        spec = self.load(path)
        for definition in spec["definitions"]:
            self.name(path, f"#/definitions/{definition}")
        for place, methods in spec["paths"].items():
            for method, operation in methods.items():
                if method != "parameters":
                    self.operation(path, place, method, operation)

    def operation(self, path, place, method, operation):
        parameters = [self.parameter(path, one) for one in operation.get("parameters", [])]
        body = next((one for one in parameters if one.get("in") == "body"), None)
        responses = {
            code: self.schema(path, response["schema"]) if "schema" in response else None
            for code, response in operation["responses"].items()
        }
        # GetOperationStatus stands twice, for two places.
        key = f"{method.upper()} {place}"
        self.operations[key] = {
            "id": operation["operationId"],
            "body": body and body["name"],
            "query": [one["name"] for one in parameters if one.get("in") == "query"],
            "responses": responses,
        }
        for title, reference in operation.get("x-ms-examples", {}).items():
            example = self.load(os.path.join(os.path.dirname(path), reference["$ref"]))
            file = os.path.basename(reference["$ref"])
            self.examples.append({"operation": key, "title": title, "file": file, **{k: example[k] for k in ("parameters", "responses")}})

    def parameter(self, path, parameter):
        if "$ref" not in parameter:
            return parameter
        other, _, pointer = parameter["$ref"].partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), other)) if other else path
        return self.load(file)["parameters"][pointer.split("/")[-1]]


def main():
    compact = Compact(sys.argv[1])
    for file in FILES:
        compact.file(os.path.normpath(os.path.join(sys.argv[1], file)))
    here = os.path.dirname(os.path.abspath(__file__))
    for name, value in (
        ("specification.json", {"operations": compact.operations, "definitions": compact.definitions}),
        ("examples.json", compact.examples),
    ):
        with open(os.path.join(here, name), "w", encoding="utf-8") as file:
            json.dump(value, file, separators=(",", ":"), ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main()
