"""Oracles for the templates, driven by tests/template.rs. Answers are JSON on standard output.

    template.py resources FILE      the resources as CloudFormation gets them (SAM transformed)
    template.py match < pairs       [[pattern, event], ...] -> [true, false, ...] by moto's EventPattern
"""

import json
import os
import sys


def resources(path):
    import yaml
    from samtranslator.translator.transform import transform
    from samtranslator.yaml_helper import yaml_parse

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    if "Transform" in template:
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                # What `sam package` does: the transform wants to see an uploaded artifact.
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        template = transform(template, {}, NoManagedPolicies())
    return template["Resources"]


class NoManagedPolicies:
    """The template names no managed policy by its short name, so that IAM need not be asked."""

    def load(self):
        return {}


def merged(node):
    """Arrays of objects as EventBridge looks at them: a path matches when any element has it there.

    moto compares paths through objects only.
    """
    if isinstance(node, dict):
        return {key: merged(value) for key, value in node.items()}
    if isinstance(node, list) and node and all(isinstance(item, dict) for item in node):
        union = {}
        for item in map(merged, node):
            for key, value in item.items():
                if isinstance(value, dict) and isinstance(union.get(key), dict):
                    union[key].update(value)
                else:
                    values = value if isinstance(value, list) else [value]
                    union[key] = union.get(key, []) + values if isinstance(union.get(key, []), list) else values
        return union
    return node


def match(pairs):
    from moto.events.models import EventPattern

    answers = []
    for pattern, event in pairs:
        answers.append(EventPattern.load(json.dumps(pattern)).matches_event(merged(event)))
    return answers


def main(arguments):
    if arguments[:1] == ["resources"] and len(arguments) == 2:
        answer = resources(arguments[1])
    elif arguments == ["match"]:
        answer = match(json.load(sys.stdin))
    else:
        sys.exit(__doc__)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
