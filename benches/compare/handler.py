"""What a team would write with boto3: look the image's owner up, and tell when it is not approved."""

import json
import os
import sys

# aws-sam-cli's environment has the common runtime, whose import alone is tens of MiB: boto3 works without.
sys.modules["awscrt"] = None

import boto3
from bare import run

APPROVED = {"111122223333", "137112412989"}
TOPIC = os.environ["TOPIC_ARN"]
# Once a process, as AWS advises.
ec2 = boto3.client("ec2")
sns = boto3.client("sns")


def handle(event):
    detail = event["detail"]
    launched = {item["imageId"] for item in detail["responseElements"]["instancesSet"]["items"]}
    published = 0
    for image in ec2.describe_images(ImageIds=sorted(launched), IncludeDeprecated=True)["Images"]:
        if image["OwnerId"] in APPROVED:
            continue
        who = detail["userIdentity"]["arn"]
        title = f"Instance launched from an image that is not approved: {image['ImageId']}"
        finding = {
            "class_uid": 2004,
            "severity": "High",
            "finding_info": {"title": title, "uid": detail["eventID"]},
            "evidences": [{"data": {"image": image["ImageId"], "owner": image["OwnerId"]}}],
            "actor": {"user": {"uid": who}},
            "cloud": {"account": {"uid": event["account"]}, "region": event["region"]},
        }
        text = f"{title}\n\nWho: {who}\nOwner: {image['OwnerId']}\nWhere: {event['account']}, {event['region']}\n"
        sns.publish(
            TopicArn=TOPIC,
            Subject=title[:99],
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(finding), "email": text}),
            MessageAttributes={
                "severity": {"DataType": "String", "StringValue": "High"},
                "account": {"DataType": "String", "StringValue": event["account"]},
            },
        )
        published += 1
    return {"published": published}


if __name__ == "__main__":
    run(handle)
