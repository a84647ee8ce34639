"""Sends a test alert through a deployed stack, and says who will not get it.

    smoke.py --stack imagewarden [--region eu-central-1]
    smoke.py --print            the event alone, for some account

The event is a made-up one that says so: Allowed AMIs disabled by a principal called imagewarden-smoke-test. It is
judged without any look-up, and high enough for every sensible floor. Nothing is changed in the account.
"""

import argparse
import json
import sys
import uuid
from datetime import datetime, timezone

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def event(account, region, partition):
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    actor = "imagewarden-smoke-test"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": account,
        "time": now,
        "region": region,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "arn": f"arn:{partition}:iam::{account}:user/{actor}",
                "accountId": account,
                "userName": actor,
            },
            "eventTime": now,
            "eventSource": "ec2.amazonaws.com",
            "eventName": "DisableAllowedImagesSettings",
            "awsRegion": region,
            "sourceIPAddress": "192.0.2.1",
            "userAgent": f"{actor} (a test: nothing was changed)",
            "requestParameters": {"DisableAllowedImagesSettingsRequest": {}},
            "responseElements": {
                "DisableAllowedImagesSettingsResponse": {"allowedImagesSettingsState": "disabled"}
            },
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
        },
    }


def outputs(session, stack):
    description = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def subscribers(session, topic):
    """(confirmed, waiting for confirmation)"""
    pages = session.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    everyone = [subscription for page in pages for subscription in page["Subscriptions"]]
    waiting = [one for one in everyone if one["SubscriptionArn"] == "PendingConfirmation"]
    return len(everyone) - len(waiting), [f"{one['Protocol']} {one['Endpoint']}" for one in waiting]


def smoke(session, stack):
    told = outputs(session, stack)
    partition, region, account = (told["AlertTopicArn"].split(":")[part] for part in (1, 3, 4))
    answer = session.client("lambda").invoke(
        FunctionName=told["FunctionName"], Payload=json.dumps(event(account, region, partition)).encode()
    )
    reply = json.loads(answer["Payload"].read())
    print(f"{told['FunctionName']} answered {json.dumps(reply)}")
    if answer.get("FunctionError") or not reply.get("published"):
        sys.exit(f"no alert was published: see {told['LogGroupName']} for why")
    confirmed, waiting = subscribers(session, told["AlertTopicArn"])
    for subscriber in waiting:
        print(f"not confirmed yet, and gets nothing: {subscriber}")
    if not confirmed:
        sys.exit("the alert was published, and nobody is subscribed to hear of it")
    print(f"a test alert is on its way to {confirmed} subscriber(s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", default="imagewarden")
    parser.add_argument("--region", help="default: as the AWS CLI would choose it")
    parser.add_argument("--print", action="store_true", help="print the event, and send nothing")
    arguments = parser.parse_args()
    if arguments.print:
        print(json.dumps(event("111122223333", "eu-central-1", "aws"), indent=2))
        return
    try:
        smoke(boto3.Session(region_name=arguments.region), arguments.stack)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{arguments.stack}: {error}")


if __name__ == "__main__":
    main()
