"""Holds the manifests against the genuine schemas, and keeps what these say of them:

    python -m tests.deploy.distil DEFINITIONS CRD...

DEFINITIONS is `_definitions.json` of a strict version in the package kubernetes-validate, which has
all of Kubernetes' own kinds; each CRD is a file of a project's custom resources. Together they are
5 MB, so the tests have `schemas.json`: of every schema the parts that a manifest touches.

Made of Kubernetes 1.37 (kubernetes-validate 1.37.0, v1.37.0-local-strict), and the CRDs in
kserve/kserve aaac4e2, ray-project/kuberay feeaf72 and kedacore/keda 8b4f083.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import yaml

from tests.deploy.manifests import MANIFESTS, SCHEMAS, kind_of

Schema = dict[str, Any]

KEPT = ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "required")
"""What is kept as it is; descriptions and what is checked on the server only are not."""

INT_OR_STRING = "x-kubernetes-int-or-string"
OPEN = "x-kubernetes-preserve-unknown-fields"
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def part(schema: Schema, value: Any, definitions: Mapping[str, Schema]) -> Schema:
    """What a schema says of this value. A field that it does not know is refused."""
    if "$ref" in schema:
        return part(definitions[schema["$ref"].rpartition("/")[2]], value, definitions)
    if schema.get(INT_OR_STRING):
        return {"type": ["integer", "string"]}
    kept = {name: schema[name] for name in KEPT if name in schema}
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            kept[choice] = [part(each, value, definitions) for each in schema[choice]]
    if isinstance(value, dict) and not schema.get(OPEN):
        kept |= _fields(schema, value, definitions)
    if isinstance(value, list) and "items" in schema:
        parts = [part(schema["items"], each, definitions) for each in value]
        kept["items"] = merged(parts)
    return kept


def _fields(schema: Schema, value: dict[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", False)
    fields = {
        name: part(known[name], each, definitions) for name, each in value.items() if name in known
    }
    if isinstance(others, dict):
        others = part(others, next(iter(value.values()), None), definitions)
    return {"properties": fields, "additionalProperties": others}


def merged(parts: list[Schema]) -> Schema:
    """Parts of one schema, as one."""
    whole: Schema = {}
    for each in parts:
        for name, said in each.items():
            before = whole.get(name)
            if isinstance(said, dict) and isinstance(before, dict):
                whole[name] = merged([before, said])
            else:
                whole[name] = said
    return whole


def metadata(schema: Schema) -> Schema:
    """A CRD leaves it to Kubernetes."""
    properties = schema["properties"] | {"metadata": {"$ref": f"#/{METADATA}"}}
    return schema | {"properties": properties}


def known(definitions: Mapping[str, Schema], crds: list[Path]) -> Iterator[tuple[str, Schema]]:
    """All kinds, as in `kind_of`, and their schemas."""
    for schema in definitions.values():
        for each in schema.get("x-kubernetes-group-version-kind", ()):
            yield f"{each['group']}/{each['version']}/{each['kind']}".lstrip("/"), schema
    for path in crds:
        spec = yaml.safe_load(path.read_text())["spec"]
        for version in spec["versions"]:
            name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
            yield name, metadata(version["schema"]["openAPIV3Schema"])


def main(definitions_path: str, *crds: str) -> int:
    """Write `schemas.json`; 1 if a manifest is refused."""
    definitions: dict[str, Schema] = json.loads(Path(definitions_path).read_text())["$defs"]
    genuine = dict(known(definitions, [Path(each) for each in crds]))
    kept: Schema = {}
    refused = 0
    for where, manifest in MANIFESTS:
        kind = kind_of(manifest)
        schema = part(genuine[kind], manifest, definitions)
        try:
            fastjsonschema.compile(schema)(manifest)
        except fastjsonschema.JsonSchemaException as error:
            refused = 1
            print(f"{where}: {kind}: {error}")
        kept[kind] = merged([kept.get(kind, {}), schema])
    SCHEMAS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return refused


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
