"""Oracles for the hunt's state machine. Answers are JSON on standard output, one a line.

    state_machine.py lint FILE             whether Step Functions would take the definitions in a template
    state_machine.py serve CALLBACK < runs emulates S3, SNS and Step Functions, and runs definitions

`serve` first prints where it listens. Each line of its input is a run: {"template": FILE, "values": {...}, "name":
..., "input": {...}}; the answer says how it ended. Whatever the state machine calls in Lambda is posted to CALLBACK,
which answers {"payload": ...} or {"error": {"errorType": ..., "errorMessage": ...}}.
"""

import json
import logging
import os
import re
import socket
import sys
import time
import urllib.request

REFERENCE = re.compile(r"\$\{([A-Za-z0-9:._]+)\}")
# What stands in for whatever is known only once the stack is deployed.
DEPLOYED = "deployed"


def resolved(value, values):
    """A template's value, its references replaced."""
    if not isinstance(value, dict):
        return value
    ((function, argument),) = value.items()
    if function == "Ref":
        return values.get(argument, DEPLOYED)
    if function == "Fn::GetAtt":
        return values.get(".".join(argument), DEPLOYED)
    if function == "Fn::Sub":
        return REFERENCE.sub(lambda found: values.get(found.group(1), DEPLOYED), argument)
    raise ValueError(f"{function} stands in a definition")


def definitions(path, values):
    """The definitions as Step Functions gets them, by the names of their resources."""
    from template import resources

    found = {}
    for name, resource in resources(path).items():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            properties = resource["Properties"]
            separator, lines = properties["DefinitionString"]["Fn::Join"]
            substitutions = {
                key: resolved(value, values) for key, value in properties.get("DefinitionSubstitutions", {}).items()
            }
            text = REFERENCE.sub(lambda found: substitutions[found.group(1)], separator.join(lines))
            found[name] = json.loads(text)
    return found


def unbatched(definition):
    """The same with batches of one, as moto's grammar knows no ItemBatcher; and it wants a fraction for a percentage."""
    states = {}
    for name, state in definition["States"].items():
        if "ToleratedFailurePercentage" in state:
            state = state | {"ToleratedFailurePercentage": float(state["ToleratedFailurePercentage"])}
        if batcher := state.get("ItemBatcher"):
            item = state.get("ItemSelector", {"key.$": "$$.Map.Item.Value.key", "size.$": "$$.Map.Item.Value.size"})
            selector = {"BatchInput": batcher["BatchInput"], "Items": [item]}
            state = {key: value for key, value in state.items() if key != "ItemBatcher"} | {"ItemSelector": selector}
        states[name] = state
    return definition | {"States": states}


def by_schema(definition):
    """cfn-lint's rule for definitions. It passes over those that SAM has made a text of, so it gets them bare."""
    from cfnlint.api import lint

    properties = {"RoleArn": "arn:aws:iam::123456789012:role/machine", "Definition": definition}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    for match in lint(json.dumps({"Resources": {"Machine": resource}}), regions=["us-east-1"]):
        yield f"{match.rule.id} {match.message} at {'/'.join(map(str, match.path or []))}"


def by_grammar(definition):
    """The grammar of the language, as moto has it."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    try:
        AmazonStateLanguageParser.parse(json.dumps(unbatched(definition)))
    except Exception as error:
        yield f"grammar: {error!r}"


def by_transitions(definition, place="", known=None):
    """Whoever is named exists, every state can be reached, and no two have one name."""
    states = definition.get("States", {})
    known = set() if known is None else known
    for name in states:
        if name in known:
            yield f"{place}/{name}: there is another state of this name"
        known.add(name)
    named = {definition.get("StartAt")}
    for name, state in states.items():
        rules = state.get("Choices", []) + state.get("Catch", [])
        nexts = [state.get("Next"), state.get("Default"), *(rule.get("Next") for rule in rules)]
        named.update(filter(None, nexts))
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from by_transitions(inner, f"{place}/{name}", known)
    for name in sorted(named - states.keys()):
        yield f"{place}/{name}: named, and no state"
    for name in sorted(states.keys() - named):
        yield f"{place}/{name}: no way leads there"


def lint(path):
    found = definitions(path, {"HuntConcurrency": "5", "AWS::Partition": "aws"})
    problems = []
    for name, definition in found.items():
        for check in (by_schema, by_grammar, by_transitions):
            problems += [f"{name}: {problem}" for problem in check(definition)]
    return {"machines": sorted(found), "problems": problems}


def serve(callback):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Whom the emulated Step Functions calls.
    os.environ["MOTO_PORT"] = str(port)

    import boto3
    from moto.core.config import default_user_config
    from moto.server import ThreadedMotoServer
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

    def invoke(parameters, region, state_credentials):
        request = urllib.request.Request(callback, data=parameters["Payload"], method="POST")
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
        if "error" in answer:
            return {"FunctionError": "Unhandled", "Payload": answer["error"]}
        return {"StatusCode": 200, "Payload": answer["payload"]}

    lambda_eval_utils._invoke_lambda_function = invoke
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    print(json.dumps({"url": url}), flush=True)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": os.environ["AWS_REGION"]}
    client = boto3.client("stepfunctions", endpoint_url=url, **keys)
    for line in sys.stdin:
        run = json.loads(line)
        (definition,) = definitions(run["template"], run["values"]).values()
        role = "arn:aws:iam::123456789012:role/machine"
        machine = client.create_state_machine(name=run["name"], definition=json.dumps(unbatched(definition)), roleArn=role)
        execution = client.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=run["name"], input=json.dumps(run["input"])
        )["executionArn"]
        while (ended := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(0.1)
        answer = {key: ended.get(key) for key in ("status", "output", "error", "cause")}
        if ended["status"] != "SUCCEEDED":
            answer["history"] = client.get_execution_history(executionArn=execution)["events"]
        print(json.dumps(answer, default=str), flush=True)


def main(arguments):
    if arguments[:1] == ["lint"] and len(arguments) == 2:
        # What moto would not do when it ran them is of no interest here.
        logging.disable(logging.WARNING)
        answer = lint(arguments[1])
        print(json.dumps(answer, indent=1))
        sys.exit(1 if answer["problems"] or not answer["machines"] else 0)
    elif arguments[:1] == ["serve"] and len(arguments) == 2:
        serve(arguments[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
