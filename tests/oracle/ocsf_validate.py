"""Validates OCSF events, each by its class (one JSON object a line, standard input) against the published schema.

Usage: ocsf_validate.py VERSION
Exit status: 0 all valid, 1 some are not (each error on a line of standard output), 2 could not check.
"""

import json
import sys

try:
    from jsonschema import Draft202012Validator
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
except ImportError as error:
    print(f"{error}; install the packages of tests/requirements.txt", file=sys.stderr)
    sys.exit(2)


def main() -> int:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(sys.argv[1]))
    classes = {6007: "scan_activity"}
    validators = {}
    valid = wrong = 0
    for number, line in enumerate(sys.stdin, 1):
        event = json.loads(line)
        name = classes.get(event.get("class_uid"), "detection_finding")
        if name not in validators:
            validators[name] = Draft202012Validator(schema.get_class_schema(name, ["cloud"]))
        errors = list(validators[name].iter_errors(event))
        for error in errors:
            print(f"line {number}: {error.json_path}: {error.message[:500]}")
        valid, wrong = (valid, wrong + 1) if errors else (valid + 1, wrong)
    print(f"{valid} valid, {wrong} not")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # the caller must tell a broken validator from an invalid finding
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
