#!/usr/bin/env python3
"""Makes an archive of CloudTrail log files out of a seed, and says what stands in it.

    benches/archive.py --records 1000000 --layout native FOLDER

The mix is that of an ordinary account: short-lived credentials, keys and buckets, instances and queues being looked
at, and about one call in a hundred that is about images. One record in twelve carries something that looks like such a
call and is none: its name in another field, a whole record as text in a policy document, as a tag, or in a list.

FOLDER holds the log files as a trail delivers them, and `truth.json` beside them: how many records, bytes, and calls
of each name that is looked for.
"""

import argparse
import gzip
import json
import random
import zlib
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

ACCOUNT = "111122223333"
REGION = "eu-central-1"
START = datetime(2026, 1, 5, tzinfo=timezone.utc)
LAYOUTS = ["native", "lines", "pretty", "sorted", "lookup", "events"]
# Calls that Imagewarden reads, and how many in ten thousand records.
READ = {
    "RunInstances": ("ec2", 30), "StopInstances": ("ec2", 6), "StartInstances": ("ec2", 6), "DescribeImages": ("ec2", 20),
    "CreateLaunchTemplateVersion": ("ec2", 2), "ModifyInstanceAttribute": ("ec2", 2), "PutImage": ("ecr", 6),
    "BatchGetImage": ("ecr", 20), "RegisterTaskDefinition": ("ecs", 3), "RunTask": ("ecs", 5),
}
OTHERS = {
    ("sts", "AssumeRole"): 22, ("kms", "Decrypt"): 14, ("kms", "GenerateDataKey"): 8, ("s3", "GetBucketAcl"): 5,
    ("ec2", "DescribeInstances"): 9, ("ec2", "DescribeTags"): 4, ("ec2", "DescribeInstanceStatus"): 3,
    ("ec2", "TerminateInstances"): 0.4, ("ssm", "UpdateInstanceInformation"): 8, ("ssm", "GetParameter"): 4,
    ("logs", "CreateLogStream"): 5, ("monitoring", "DescribeAlarms"): 3, ("sqs", "GetQueueAttributes"): 2,
    ("iam", "GetRole"): 2, ("iam", "PutRolePolicy"): 0.3, ("ecr", "GetAuthorizationToken"): 1.5,
    ("ecr", "DescribeRepositories"): 0.7, ("eks", "DescribeCluster"): 2, ("secretsmanager", "GetSecretValue"): 4,
    ("lambda", "GetFunction20150331v2"): 2, ("autoscaling", "DescribeAutoScalingGroups"): 3,
}


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.number = 0
        self.roles = [f"{kind}-{name}" for kind in ("app", "ci", "batch", "team") for name in
                      ("orders", "billing", "search", "ingest", "reports", "gateway")]
        self.images = [f"ami-{self.hex(17)}" for _ in range(40)]
        self.others, self.weights = zip(*OTHERS.items())

    def hex(self, length):
        return f"{self.random.getrandbits(4 * length):0{length}x}"

    def uuid(self):
        text = self.hex(32)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def identity(self, time):
        role = self.random.choice(self.roles)
        key = "AROA" + self.hex(17).upper()
        session = f"i-{self.hex(17)}" if role.startswith("app") else f"session-{self.hex(8)}"
        return {
            "type": "AssumedRole", "principalId": f"{key}:{session}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}", "accountId": ACCOUNT,
            "accessKeyId": "ASIA" + self.hex(16).upper(),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": key, "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
                                  "accountId": ACCOUNT, "userName": role},
                "attributes": {"creationDate": (time - timedelta(minutes=17)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                               "mfaAuthenticated": "false"},
            },
        }

    def bodies(self, service, name):
        """Request and response of a call."""
        instance, image = f"i-{self.hex(17)}", self.random.choice(self.images)
        if name == "RunInstances":
            asked = {"instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]},
                     "instanceType": "m7g.large", "clientToken": self.uuid(),
                     "subnetId": f"subnet-{self.hex(17)}", "monitoring": {"enabled": False}}
            answered = {"requestId": self.uuid(), "reservationId": f"r-{self.hex(17)}", "ownerId": ACCOUNT,
                        "groupSet": {}, "instancesSet": {"items": [{
                            "instanceId": instance, "imageId": image, "instanceState": {"code": 0, "name": "pending"},
                            "privateIpAddress": "10.1.2.3", "instanceType": "m7g.large", "amiLaunchIndex": 0,
                            "placement": {"availabilityZone": f"{REGION}a", "tenancy": "default"},
                            "vpcId": f"vpc-{self.hex(17)}", "subnetId": f"subnet-{self.hex(17)}",
                            "tagSet": {"items": [{"key": "Name", "value": "worker"}]}}]}}
            return asked, answered
        if name in ("StopInstances", "StartInstances"):
            changed = [{"instanceId": instance, "currentState": {"code": 64, "name": "stopping"},
                        "previousState": {"code": 16, "name": "running"}}]
            return ({"instancesSet": {"items": [{"instanceId": instance}]}, "force": False},
                    {"requestId": self.uuid(), "instancesSet": {"items": changed}})
        if name == "DescribeImages":
            by_id = {"imagesSet": {"items": [{"imageId": image}]}, "filterSet": {}}
            by_name = {"ownersSet": {"items": [{"owner": "amazon"}]}, "filterSet": {"items": [
                {"name": "name", "valueSet": {"items": [{"value": "al2023-ami-2023*-arm64"}]}}]}}
            return self.random.choice([by_id, by_name]), None
        if name in ("PutImage", "BatchGetImage"):
            repository, digest = f"team/{self.random.choice(self.roles)}", "sha256:" + self.hex(64)
            if name == "BatchGetImage":
                return {"repositoryName": repository, "registryId": ACCOUNT, "imageIds": [{"imageDigest": digest}],
                        "acceptedMediaTypes": ["application/vnd.oci.image.manifest.v1+json"]}, None
            tag = f"build-{self.number}"
            return ({"repositoryName": repository, "registryId": ACCOUNT, "imageTag": tag,
                     "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json"},
                    {"image": {"registryId": ACCOUNT, "repositoryName": repository,
                               "imageId": {"imageDigest": digest, "imageTag": tag}}})
        if name in ("RegisterTaskDefinition", "RunTask"):
            container = {"name": "app", "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app:{self.number}",
                         "cpu": 256, "memory": 512, "essential": True}
            if name == "RunTask":
                return {"cluster": "prod", "taskDefinition": "app:7", "count": 1, "launchType": "FARGATE"}, None
            return {"family": "app", "containerDefinitions": [container]}, None
        if name == "CreateLaunchTemplateVersion":
            return ({"CreateLaunchTemplateVersionRequest": {
                "LaunchTemplateId": f"lt-{self.hex(17)}", "LaunchTemplateData": {"ImageId": image}}}, None)
        if name == "ModifyInstanceAttribute":
            return {"instanceId": instance, "disableApiTermination": {"value": True}}, {"_return": True}
        if name == "AssumeRole":
            role = self.random.choice(self.roles)
            return ({"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "roleSessionName": f"session-{self.hex(8)}",
                     "durationSeconds": 3600},
                    {"credentials": {"accessKeyId": "ASIA" + self.hex(16).upper(), "sessionToken": self.hex(64),
                                     "expiration": "Jan 5, 2026, 1:00:00 PM"},
                     "assumedRoleUser": {"assumedRoleId": self.hex(20), "arn": f"arn:aws:sts::{ACCOUNT}:x/{role}"}})
        if service == "kms":
            return {"encryptionAlgorithm": "SYMMETRIC_DEFAULT",
                    "encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::bucket-{self.hex(6)}",
                                          "PARAMETER_ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{self.hex(8)}"}}, None
        return {"filterSet": {"items": [{"name": "resource-id", "valueSet": {"items": [
            {"value": instance}, {"value": f"i-{self.hex(17)}"}]}}]}, "maxResults": 100}, None

    def decoy(self):
        """What a caller may write, and what is no call."""
        text = json.dumps({"eventVersion": "1.08", "eventName": "RunInstances", "eventSource": "ec2.amazonaws.com"},
                          separators=(",", ":"))
        document = json.dumps({"Statement": [{"Action": ["ec2:RunInstances", "ecr:PutImage"], "Sid": text}]})
        return self.random.choice([
            {"policyDocument": document},
            {"description": '"eventName":"RunInstances"', "path": "C:\\\\eventName\\\\"},
            {"tags": {"eventVersion": "1.08", "eventName": "RunInstances", "eventSource": "ec2.amazonaws.com"}},
            {"filters": [{"name": "eventName", "values": ["RunInstances", "PutImage"]}, {"eventName": "StopInstances"}]},
            {"key": "naïve ☃ \u0007 \"quoted\" eventName"},
        ])

    def record(self, time):
        self.number += 1
        point, at = self.random.random() * 10_000, 0
        name = None
        for candidate, (service, share) in READ.items():
            at += share
            if point < at:
                name = candidate
                break
        if name is None:
            service, name = self.random.choices(self.others, self.weights)[0]
        request, response = self.bodies(service, name)
        if name not in READ and self.random.random() < 1 / 12:
            request = {**request, **self.decoy()}
        identity = self.identity(time)
        agent = self.random.choice([
            "aws-sdk-go-v2/1.30.3 ua/2.0 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#arm64 api/sts#1.30.3",
            "Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#6.1.94 md/arch#aarch64 lang/python#3.12.4",
            "aws-sdk-java/2.26.7 Linux/6.1.94-99.176.amzn2023.x86_64 OpenJDK_64-Bit_Server_VM/21.0.3+9-LTS"])
        return {
            "eventVersion": "1.11", "userIdentity": identity, "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": f"{service}.amazonaws.com", "eventName": name, "awsRegion": REGION,
            "sourceIPAddress": f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.7", "userAgent": agent,
            "requestParameters": request, "responseElements": response, "requestID": self.uuid(), "eventID": self.uuid(),
            "readOnly": name.startswith(("Get", "Describe", "BatchGet", "Decrypt")),
            "resources": [{"accountId": ACCOUNT, "type": "AWS::IAM::Role", "ARN": identity["arn"]}],
            "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
            "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                           "clientProvidedHostHeader": f"{service}.{REGION}.amazonaws.com"},
        }


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def laid_out(records, layout):
    if layout == "native":
        return compact({"Records": records})
    if layout == "lines":
        return "".join(compact(record) + "\n" for record in records)
    if layout == "pretty":
        return json.dumps({"Records": records}, indent=2)
    if layout == "sorted":
        return json.dumps({"Records": records}, sort_keys=True, separators=(",", ":"))
    if layout == "lookup":
        return json.dumps({"Events": [{"EventId": it["eventID"], "EventName": it["eventName"],
                                       "EventTime": it["eventTime"], "EventSource": it["eventSource"],
                                       "CloudTrailEvent": compact(it)} for it in records]}, indent=4)
    return "".join(compact({
        "version": "0", "id": it["eventID"], "detail-type": "AWS API Call via CloudTrail",
        "source": "aws." + it["eventSource"].split(".")[0], "account": ACCOUNT, "time": it["eventTime"],
        "region": REGION, "resources": [], "detail": it}) + "\n" for it in records)


def make(folder, records, layout="native", seed=1, in_a_file=3_000):
    """Writes the archive; answers its truth. The records are the same in every layout."""
    maker = Maker(seed)
    time = START
    truth = {"records": records, "files": 0, "bytes": 0, "inflated": 0, "calls": Counter()}
    logs = Path(folder) / f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}"
    left = records
    # Ninety days, whatever the number.
    step = timedelta(days=90) / max(records, 1)
    while left:
        batch = []
        for _ in range(min(left, in_a_file)):
            batch.append(maker.record(time))
            time += step
        left -= len(batch)
        truth["calls"].update(it["eventName"] for it in batch if it["eventName"] in READ)
        text = laid_out(batch, layout).encode()
        truth["inflated"] += len(text)
        compressed = gzip.compress(text, 6, mtime=0)
        truth["bytes"] += len(compressed)
        day = logs / time.strftime("%Y/%m/%d")
        day.mkdir(parents=True, exist_ok=True)
        name = f"{ACCOUNT}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_{zlib.crc32(text):08x}.json.gz"
        (day / name).write_bytes(compressed)
        truth["files"] += 1
    truth["calls"] = dict(sorted(truth["calls"].items()))
    (Path(folder) / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")
    return truth


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--layout", choices=LAYOUTS, default="native")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in-a-file", type=int, default=3_000)
    arguments = parser.parse_args()
    truth = make(arguments.folder, arguments.records, arguments.layout, arguments.seed, arguments.in_a_file)
    print(json.dumps(truth))


if __name__ == "__main__":
    main()
