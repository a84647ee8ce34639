"""The same tests as Imagewarden's, over the same sample events, facts and policy, as plain Python.

    evaluate.py --rounds N      judge every sample N times; prints the processor time of it as JSON
    evaluate.py --verdicts      prints what matched and what could not be told, by sample, as JSON

It takes what Imagewarden's own readers take for granted: well-formed events in today's spelling.
"""

import fnmatch
import functools
import gzip
import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
LISTS = ROOT / "src/detection/data"
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CLASSES = {"CRITICAL": "critical", "HIGH": "high", "MEDIUM": "medium"}
BY_ECR = {"pullthroughcache.ecr.amazonaws.com", "replication.ecr.amazonaws.com"}
EC2_DERIVES = {"CopyImage", "CreateImage", "RegisterImage", "ImportImage"}
IMAGE_ID = re.compile(r"ami-[0-9a-f]{8,17}")
COSIGN_TAG = re.compile(r"sha256-[0-9a-f]{64}\.(sig|att|sbom)")

like = functools.lru_cache(maxsize=None)(lambda pattern: re.compile(fnmatch.translate(pattern)).match)


class Unknown(Exception):
    """A fact that is absent or unavailable: what cannot be told for it."""


# ---- Facts and policy, read once ---------------------------------------------------------------------


class Facts:
    def __init__(self, folder, regions=True):
        self.images, self.instance_images, self.ancestry, self.snapshots = {}, {}, {}, {}
        self.templates, self.launched, self.scans, self.allowed = [], {}, {}, None
        self.regions = {}
        for path in sorted(folder.rglob("*.json")):
            region = re.search(r"/regions/([^/]+)/", str(path))
            if not region:
                self.add(json.loads(path.read_text()))
            elif regions:
                layer = self.regions.setdefault(region[1], Facts(path.parent, regions=False))
                layer.add(json.loads(path.read_text()))

    def add(self, document):
        for image in document.get("Images", []):
            self.images[image["ImageId"]] = image
        for entry in document.get("InstanceImageMetadata", []):
            self.instance_images[entry["InstanceId"]] = entry["ImageMetadata"]
        if "ImageAncestryEntries" in document:
            self.ancestry[document["ImageAncestryEntries"][0]["ImageId"]] = document["ImageAncestryEntries"]
        for snapshot in document.get("Snapshots", []):
            self.snapshots[snapshot["SnapshotId"]] = snapshot
        self.templates += document.get("LaunchTemplateVersions", [])
        for reservation in document.get("Reservations", []):
            for instance in reservation["Instances"]:
                self.launched.setdefault(instance.get("ClientToken"), []).append(instance)
        if "ImageCriteria" in document:
            self.allowed = document
        if "imageScanFindings" in document:
            self.scans[document["imageId"]["imageDigest"]] = document["imageScanFindings"]

    def allowed_in(self, region):
        layer = self.regions.get(region)
        return layer.allowed if layer and layer.allowed else self.allowed

    def template(self, reference):
        version = reference.get("version", "$Default")
        of_template = [
            entry for entry in self.templates
            if reference.get("launchTemplateId", entry["LaunchTemplateId"]) == entry["LaunchTemplateId"]
            and reference.get("launchTemplateName", entry["LaunchTemplateName"]) == entry["LaunchTemplateName"]
        ]
        if version == "$Latest":
            return max(of_template, key=lambda entry: entry["VersionNumber"], default=None)
        wanted = (lambda entry: entry["DefaultVersion"]) if version == "$Default" else (
            lambda entry: str(entry["VersionNumber"]) == version)
        return next(filter(wanted, of_template), None)


def accounts(name):
    lines = (LISTS / name).read_text().splitlines()
    return {tuple(line.split()[:2]): line.split(None, 2)[2] for line in lines if line[:1].isdigit()}


FACTS = Facts(EVENTS / "facts")
POLICY = yaml.safe_load((ROOT / "policy.yaml").read_text())
AMAZON, VENDORS = accounts("aws-owners.txt"), accounts("vendors.txt")


# ---- Sources -------------------------------------------------------------------------------------------


def items(value):
    if isinstance(value, dict):
        value = value.get("items", value.get("item", [value] if value else []))
        return value if isinstance(value, list) else [value]
    return value or []


def envelopes(payload):
    """(envelope, detail) of every event in a payload, however wrapped."""
    if isinstance(payload, list):
        for element in payload:
            yield from envelopes(element)
    elif "requestPayload" in payload:
        yield from envelopes(payload["requestPayload"])
    elif "Records" in payload:
        yield from envelopes(payload["Records"])
    elif "body" in payload:
        yield from envelopes(json.loads(payload["body"]))
    elif "Sns" in payload:
        yield from envelopes(payload["Sns"])
    elif "Message" in payload:
        yield from envelopes(json.loads(payload["Message"]))
    elif "detail-type" in payload:
        yield payload, payload["detail"]
    elif "eventName" in payload:
        yield {"detail-type": "AWS API Call via CloudTrail"}, payload


def principal(identity):
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    return issuer.get("arn") or identity.get("arn") or identity.get("invokedBy") or "unknown"


def activities(payload):
    for envelope, detail in envelopes(payload):
        kind = envelope["detail-type"]
        common = {"account": envelope.get("account"), "region": envelope.get("region"), "time": envelope.get("time")}
        if kind == "AWS API Call via CloudTrail":
            yield from calls(detail, common)
        elif kind in ("ECR Image Scan", "Inspector2 Scan"):
            name = detail.get("repository-name")
            if name:
                counts = detail.get("finding-severity-counts")
                yield common | {
                    "kind": "scan", "failed": "FAIL" in detail["scan-status"] or counts is None,
                    "repository": name.rsplit(":repository/", 1)[-1], "digest": detail.get("image-digest", ""),
                    "tags": detail.get("image-tags", []), "findings": [], "read_by": None,
                    "counts": {severity: n for severity, n in (counts or {}).items() if severity != "TOTAL"},
                }
        elif kind == "Inspector2 Finding":
            for resource in detail["resources"]:
                if resource["type"] == "AWS_ECR_CONTAINER_IMAGE":
                    image = resource["details"]["awsEcrContainerImage"]
                    yield common | {
                        "kind": "scan", "failed": detail["status"] in ("CLOSED", "SUPPRESSED"),
                        "repository": image["repositoryName"], "digest": image["imageHash"],
                        "tags": image.get("imageTags", []), "findings": [enhanced(detail)], "read_by": None,
                        "counts": {detail["severity"]: 1},
                    }
        elif kind == "ECR Scan Resource Change":
            rules = [(entry["scan-frequency"], [entry["repository-name"]]) for entry in detail["repositories"]]
            yield common | {"kind": "rail", "setting": "registry-scanning", "value": (detail["scan-type"], rules),
                            "target": envelope["account"], "principal": None, "error": None}


def calls(record, common):
    identity = record.get("userIdentity") or {}
    error = record.get("errorCode")
    request = record.get("requestParameters") or {}
    response = record.get("responseElements") or {}
    if "omitted" in response:
        response = {}
    name = record["eventName"]
    request = request.get(f"{name}Request", request)
    response = response.get(f"{name}Response", response)
    common = {
        "account": record.get("recipientAccountId") or common["account"],
        "region": record.get("awsRegion") or common["region"],
        "time": record.get("eventTime") or common["time"],
        "principal": principal(identity), "identity": identity, "call": name,
        "error": re.sub(r"^(Client|Server)\.", "", error) if error else None,
    }
    if name == "RunInstances":
        yield from launches(common, request, response, record.get("errorMessage"))
    elif name in EC2_DERIVES and not error:
        yield common | {"kind": "derive", "image": response.get("imageId"), "origins": origins(name, request, common)}
    elif name == "PutImage":
        yield push(common, request, response, record["eventSource"])
    elif name == "DescribeImageScanFindings" and not error:
        results = response.get("imageScanFindings")
        found = list(map(basic, (results or {}).get("findings", [])))
        found += map(enhanced, (results or {}).get("enhancedFindings", []))
        yield common | {
            "kind": "scan", "failed": results is None, "repository": request["repositoryName"],
            "digest": (response.get("imageId") or request["imageId"]).get("imageDigest", ""), "tags": [],
            "counts": (results or {}).get("findingSeverityCounts", {}), "findings": found,
            "read_by": common["principal"],
        }
    else:
        yield from rails(common, name, request, response)


def launches(common, request, response, message):
    dry = request.get("dryRun") or (common["error"] or "").startswith("DryRun")
    specification = request.get("launchTemplate") or {}
    common = common | {
        "kind": "launch", "outcome": "dry-run" if dry else common["error"] or "succeeded", "message": message,
        "template": specification, "token": request.get("clientToken"), "type": request.get("instanceType"),
    }
    started = {}
    if common["outcome"] == "succeeded":
        for instance in items(response.get("instancesSet")):
            started.setdefault(instance.get("imageId"), []).append(instance)
    if started:
        for image, instances in started.items():
            yield common | {
                "image": image, "instances": [instance["instanceId"] for instance in instances],
                "count": len(instances), "subnet": instances[0].get("subnetId"),
                "tags": {tag["key"]: tag["value"] for one in instances for tag in items(one.get("tagSet"))},
            }
        return
    asked = {}
    for item in items(request.get("instancesSet")) or [{}]:
        image = item.get("imageId")
        asked[image] = asked.get(image, 0) + int(item.get("maxCount") or 1)
    tags = {}
    for specification in items(request.get("tagSpecificationSet")):
        tags |= {tag["key"]: tag["value"] for tag in specification["tags"]}
    for image, count in asked.items():
        yield common | {"image": image, "instances": [], "count": count, "tags": tags,
                        "subnet": request.get("subnetId")}


def origins(name, request, common):
    if name == "CopyImage":
        return [("image", request["sourceImageId"], request.get("sourceRegion", common["region"]))]
    if name == "CreateImage":
        return [("instance", request["instanceId"], common["region"])]
    if name == "ImportImage":
        return [("disk", str(disk), common["region"])
                for disk in items(request.get("diskContainerSet") or request.get("DiskContainer"))]
    devices = items(request.get("blockDeviceMapping"))
    return [("snapshot", device["ebs"]["snapshotId"], common["region"]) for device in devices
            if "snapshotId" in device.get("ebs", {})]


def push(common, request, response, source):
    image = response.get("image") or {}
    text = request.get("imageManifest") or image.get("imageManifest")
    tag = request.get("imageTag") or image.get("imageId", {}).get("imageTag")
    if text:
        artifact = of_manifest(json.loads(text))
    else:
        artifact = "signature" if tag and COSIGN_TAG.fullmatch(tag) else "image"
    return common | {
        "kind": "push", "repository": request.get("repositoryName", ""), "tag": tag, "artifact": artifact,
        "digest": image.get("imageId", {}).get("imageDigest") or request.get("imageDigest"),
        "public": source.startswith("ecr-public"),
    }


def of_manifest(manifest):
    if "manifests" in manifest:
        return "image"
    layers = manifest.get("layers") or []
    kinds = [layer.get("mediaType", "").lower() for layer in layers]
    config = manifest.get("config", {}).get("mediaType", "")
    is_image = not config or "oci.image.config" in config or "docker.container.image" in config
    if any("image.rootfs" in kind or "oci.image.layer" in kind for kind in kinds):
        return "image"
    words = ("simplesigning", "sigstore.bundle", "notary.signature", "in-toto", "dsse", "spdx", "cyclonedx")
    small = sum(layer.get("size", 0) for layer in layers) <= 16 << 20
    if kinds and small and all(any(word in kind for word in words) for kind in kinds):
        return "signature"
    return "image" if is_image else "other"


def rails(common, name, request, response):
    if name == "DisableAllowedImagesSettings":
        setting, value, target = "allowed-images", "disabled", common["account"]
    elif name == "EnableAllowedImagesSettings":
        setting, value, target = "allowed-images", first(request, "AllowedImagesSettingsState"), common["account"]
    elif name == "ReplaceImageCriteriaInAllowedImagesSettings":
        criteria = items(request.get("ImageCriterion") or request.get("imageCriterionSet"))
        names = [str(one.get("content", one) if isinstance(one, dict) else one)
                 for criterion in criteria for one in items(criterion.get("ImageProvider", []))]
        setting, value, target = "criteria", (len(criteria), names), common["account"]
    elif name == "PutImageScanningConfiguration":
        value = request["imageScanningConfiguration"].get("scanOnPush")
        setting, target = "scan-on-push", request["repositoryName"]
    elif name == "PutRegistryScanningConfiguration":
        rules = [(rule["scanFrequency"], [filter["filter"] for filter in rule["repositoryFilters"]])
                 for rule in request.get("rules") or []]
        setting, value, target = "registry-scanning", (request.get("scanType"), rules), common["account"]
    elif name == "PutImageTagMutability":
        setting, value, target = "tag-mutability", request["imageTagMutability"], request["repositoryName"]
    else:
        return
    yield common | {"kind": "rail", "setting": setting, "value": value, "target": target}


def first(value, key):
    """The first value under a key at any depth, whatever its case."""
    for name, inner in value.items():
        if name.lower() == key.lower():
            return inner
        if isinstance(inner, dict) and (found := first(inner, key)):
            return found
    return None


def basic(finding):
    attributes = {entry["key"]: entry["value"] for entry in finding.get("attributes", [])}
    return {"name": finding["name"], "severity": finding["severity"], "package": attributes.get("package_name"),
            "fixed": None, "exploit": None, "status": None}


def enhanced(finding):
    details = finding.get("packageVulnerabilityDetails", {})
    package = (details.get("vulnerablePackages") or [{}])[0]
    return {"name": details.get("vulnerabilityId") or finding.get("title"), "severity": finding["severity"],
            "package": package.get("name"), "fixed": package.get("fixedInVersion"),
            "exploit": finding.get("exploitAvailable") == "YES", "status": finding.get("status")}


# ---- Owners and approval -------------------------------------------------------------------------------


def partition(region):
    return {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}.get(re.match(r"cn-|us-gov-|", region or "")[0], "aws")


def stands_for(word, owner, activity):
    if word == "self":
        return owner == activity["account"]
    if word in ("amazon", "vendors"):
        return (owner, partition(activity["region"])) in (AMAZON if word == "amazon" else VENDORS)
    return word == owner


def label(owner, activity):
    if owner == activity["account"]:
        return f"{owner} (this account)"
    key = (owner, partition(activity["region"]))
    who = AMAZON.get(key) or VENDORS.get(key)
    return f"{owner}, {who}" if who else owner


def when(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def approved_by(activity, fact):
    approved = POLICY["images"]["approved"]
    owner = fact["OwnerId"]
    if any(stands_for(word, owner, activity) for word in approved["owners"]):
        return f"its owner {label(owner, activity)} is approved"
    for rule in approved["names"]:
        if stands_for(rule["owner"], owner, activity) and like(rule["pattern"])(fact.get("Name", "")):
            return f"its name fits {rule['pattern']}"
    tags = {tag["Key"]: tag["Value"] for tag in fact.get("Tags", [])}
    for rule in approved["tags"]:
        if owner == activity["account"] and like(rule["value"])(tags.get(rule["key"], "")):
            return f"it is an own image tagged {rule['key']}"
    return None


def approval(activity, fact):
    """(approved, why)"""
    images = POLICY["images"]
    if fact["ImageId"] in images["approved"]["ids"]:
        return True, "its id is listed in the policy"
    now = when(activity["time"])
    why = approved_by(activity, fact)
    if not why and images["allowed_images_setting"] == "use" and fact["OwnerId"] != activity["account"]:
        setting = FACTS.allowed_in(activity["region"])
        if setting and setting.get("State") in ("enabled", "audit-mode"):
            if any(admits(criterion, fact, now) for criterion in setting["ImageCriteria"]):
                why = "the account's Allowed AMIs criteria admit it"
    if not why:
        return False, f"its owner {label(fact['OwnerId'], activity)} is not approved by the policy"
    if images.get("max_age_days"):
        age = (now - when(fact["CreationDate"])).days
        if age > images["max_age_days"]:
            return False, f"it is {age} days old"
    deprecated = fact.get("DeprecationTime")
    if images["deprecated"] == "alert" and deprecated and when(deprecated) <= now:
        return False, f"it is deprecated since {deprecated}"
    return True, why


def admits(criterion, fact, now):
    providers = criterion.get("ImageProviders")
    if providers and not {fact["OwnerId"], fact.get("ImageOwnerAlias")} & set(providers):
        return False
    names = criterion.get("ImageNames")
    if names and not any(like(pattern)(fact.get("Name", "")) for pattern in names):
        return False
    bound = criterion.get("CreationDateCondition", {}).get("MaximumDaysSinceCreated")
    if bound is not None and now - when(fact["CreationDate"]) > timedelta(days=bound):
        return False
    return bool(criterion)


def image_of(activity):
    image, instances = activity["image"], activity["instances"]
    if image and not IMAGE_ID.fullmatch(image):
        image = None
    if not image and not instances:
        started = FACTS.launched.get(activity["token"]) if activity["outcome"] == "succeeded" else None
        if started:
            image, instances = started[0]["ImageId"], [one["InstanceId"] for one in started]
        elif activity["template"] and not activity["image"]:
            version = FACTS.template(activity["template"])
            image = version and version["LaunchTemplateData"].get("ImageId")
    if image in FACTS.images:
        return FACTS.images[image], False
    for instance in instances[:3]:
        if instance in FACTS.instance_images:
            return FACTS.instance_images[instance], True
    raise Unknown(f"EC2 does not show image {image} to the account" if image else "the event does not name the image")


def outside_scope(activity):
    scope = POLICY["images"]["scope"]
    if not scope["tags"] and not scope["subnets"]:
        return False
    tagged = any(like(rule["value"])(activity["tags"].get(rule["key"], "")) for rule in scope["tags"])
    return not tagged and activity["subnet"] not in scope["subnets"] and bool(activity["instances"])


# ---- Detections ----------------------------------------------------------------------------------------


def found(activity, summary, evidence, severity=None):
    return "match", {
        "summary": summary, "severity": severity,
        "evidence": {key: value for key, value in evidence.items() if value is not None},
        "next_steps": [
            f"aws cloudtrail lookup-events --region {activity['region']} --lookup-attributes "
            f"AttributeKey=Username,AttributeValue={activity.get('principal')}",
            f"aws sts get-caller-identity --region {activity['region']}",
        ],
    }


def evidence_of(activity, fact):
    fact = fact or {}
    return {
        "image": fact.get("ImageId", activity["image"]), "image_name": fact.get("Name"),
        "image_owner": fact.get("OwnerId"), "owner_alias": fact.get("ImageOwnerAlias"), "public": fact.get("Public"),
        "created": fact.get("CreationDate"), "deprecated": fact.get("DeprecationTime"),
        "instances": activity["instances"][:20] or None, "instance_count": activity["count"],
        "instance_type": activity["type"], "subnet": activity["subnet"],
    }


def not_approved(activity):
    if activity["kind"] != "launch":
        return "not applicable", "not a launch"
    if activity["outcome"] != "succeeded":
        return "not applicable", "nothing was launched"
    if outside_scope(activity):
        return "not applicable", "outside the policy's scope"
    fact, _ = image_of(activity)
    approved, why = approval(activity, fact)
    if approved:
        return "pass", f"the image is approved: {why}"
    summary = (f"{activity['count']} instances were launched from image {fact['ImageId']} ({fact.get('Name')}), which "
               f"is not approved: {why}")
    return found(activity, summary, evidence_of(activity, fact))


def laundered(activity):
    if activity["kind"] == "launch" and activity["outcome"] == "succeeded" and not outside_scope(activity):
        fact, from_instance = image_of(activity)
        if fact["OwnerId"] != activity["account"]:
            return "not applicable", "not an own image"
        foreign = behind(activity, fact, activity["region"], from_instance)
        seen = evidence_of(activity, fact)
    elif activity["kind"] == "derive":
        if not activity["origins"]:
            raise Unknown("the event does not name what the image was made from")
        foreign, seen = None, {"image": activity["image"], "made_by": activity["call"]}
        for kind, name, region in activity["origins"]:
            foreign = foreign or origin(activity, kind, name, region)
    else:
        return "not applicable", "neither a launch nor a new image"
    if not foreign:
        return "pass", "everything behind it is approved, listed or the account's own"
    summary = f"behind image {seen['image']} stands {foreign[0]} of account {label(foreign[1], activity)}"
    return found(activity, summary, seen | {"source": foreign[0], "source_owner": foreign[1]})


def vouched(owner, activity):
    words = POLICY["images"]["approved"]["owners"] + POLICY["images"]["ancestors"]
    return any(stands_for(word, owner, activity) for word in words)


def origin(activity, kind, name, region):
    if kind == "disk":
        raise Unknown("the image was imported from a disk file")
    if kind == "snapshot":
        if name not in FACTS.snapshots:
            raise Unknown("a snapshot behind the image is private or deleted")
        owner = FACTS.snapshots[name]["OwnerId"]
        return None if vouched(owner, activity) else (name, owner)
    known = FACTS.instance_images if kind == "instance" else FACTS.images
    if name not in known:
        raise Unknown(f"what stands behind the image cannot be looked up: {name}")
    fact = known[name]
    if fact["OwnerId"] == activity["account"]:
        return behind(activity, fact, region, kind == "instance")
    if vouched(fact["OwnerId"], activity) or approved_by(activity, fact):
        return None
    return fact["ImageId"], fact["OwnerId"]


def behind(activity, fact, region, from_instance):
    """The nearest foreign ancestor, or the foreign snapshot at the root."""
    entries = FACTS.ancestry.get(fact["ImageId"])
    if entries is None:
        source = fact.get("SourceImageId")
        if source:
            return origin(activity, "image", source, fact.get("SourceImageRegion", region))
        raise Unknown("EC2 tells no ancestry of the image")
    chain = []
    for position, entry in enumerate(entries[:18]):
        for name in ([] if position == 0 else [entry["ImageId"]]) + [entry.get("SourceImageId")]:
            if name and name not in chain:
                chain.append(name)
    doubt, root = None, fact
    for name in chain[:16]:
        ancestor = FACTS.images.get(name)
        if ancestor is None:
            doubt, root = doubt or f"an ancestor is private or deregistered: {name}", None
        elif ancestor["OwnerId"] == activity["account"]:
            root = ancestor
        elif vouched(ancestor["OwnerId"], activity) or approved_by(activity, ancestor):
            root = None
            break
        else:
            return name, ancestor["OwnerId"]
    if doubt:
        raise Unknown(doubt)
    if root is None:
        return None
    root = FACTS.images.get(root["ImageId"]) if from_instance else root
    if root is None:
        raise Unknown("the image itself could not be looked up")
    for device in root.get("BlockDeviceMappings", [])[:16]:
        snapshot = device.get("Ebs", {}).get("SnapshotId")
        if snapshot:
            foreign = origin(activity, "snapshot", snapshot, region)
            if foreign:
                return foreign
    return None


def denied(activity):
    if activity["kind"] != "launch" or activity["outcome"] in ("succeeded", "dry-run"):
        return "not applicable", "no refused launch"
    code = activity["outcome"]
    if code not in ("UnauthorizedOperation", "VcpuLimitExceeded") and not code.startswith("InvalidAMIID"):
        return "not applicable", f"{code} is no sign of anything"
    if outside_scope(activity):
        return "not applicable", "outside the policy's scope"
    fact = None
    try:
        fact, _ = image_of(activity)
        approved, why = approval(activity, fact)
    except Unknown as unknown:
        approved, why = False, str(unknown)
    evidence = evidence_of(activity, fact) | {"error_code": code, "error_message": (activity["message"] or "")[:300]}
    summary = f"a launch of {activity['count']} instances was refused ({code}); {why}"
    return found(activity, summary, evidence, None if approved else "medium")


def pushed(activity):
    """Why a push is none to judge, if it is."""
    if activity["kind"] != "push":
        return "not a push"
    if activity["error"]:
        return f"nothing was pushed: {activity['error']}"
    if activity["artifact"] != "image":
        return f"{activity['artifact']}: nothing runs from it"
    identity = activity["identity"]
    if identity.get("invokedBy") in BY_ECR or ":role/aws-service-role/" in activity["principal"]:
        return "ECR stored it itself"
    return None


def outside_hours(activity):
    if why := pushed(activity):
        return "not applicable", why
    for schedule in POLICY["uploads"]["schedules"]:
        if any(like(pattern)(activity["repository"]) for pattern in schedule["repositories"]) and any(
                like(pattern)(activity["principal"]) for pattern in schedule["principals"]):
            break
    else:
        return "not applicable", "no schedule is about this repository and principal"
    zone = schedule.get("zone")
    local = when(activity["time"]).astimezone(ZoneInfo(zone) if zone else timezone.utc)
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in schedule["hours"].split("-"))
    minute = local.hour * 60 + local.minute

    def expected(date):
        return DAYS[date.weekday()] in schedule["days"] and date.isoformat() not in map(str, schedule["holidays"])

    if start < end:
        inside = start <= minute < end and expected(local.date())
    else:
        inside = (minute >= start and expected(local.date())) or (
            minute < end and expected(local.date() - timedelta(days=1)))
    if inside:
        return "pass", f"pushed within {schedule['hours']}"
    summary = f"{activity['repository']}:{activity['tag']} was pushed at {local:%a %Y-%m-%d %H:%M:%S}"
    return found(activity, summary, seen_of_push(activity) | {"pushed_at_local": local.isoformat()},
                 None if activity["tag"] else "low")


def unknown_user(activity):
    pushers = POLICY["uploads"]["pushers"]
    if not pushers:
        return "not applicable", "the policy lists no pushers"
    if why := pushed(activity):
        return "not applicable", why
    for pusher in pushers:
        if like(pusher["principal"])(activity["principal"]) and any(
                like(pattern)(activity["repository"]) for pattern in pusher.get("repositories", ["*"])):
            return "pass", "a listed pusher"
    summary = f"{activity['repository']} was pushed by {activity['principal']}, who is not a listed pusher"
    return found(activity, summary, seen_of_push(activity), None if activity["tag"] else "low")


def seen_of_push(activity):
    return {key: activity[key] for key in ("repository", "tag", "digest", "public", "principal")}


def scanned(name):
    def judge(activity):
        if activity["kind"] != "scan":
            return "not applicable", "not a scan result"
        if activity["failed"]:
            return "not applicable", "the scan says nothing about the image"
        count = sum(n for severity, n in activity["counts"].items() if CLASSES.get(severity, "low") == name)
        if not count:
            return "pass", f"no {name} findings"
        findings = activity["findings"]
        if not findings:
            report = FACTS.scans.get(activity["digest"], {})
            findings = [*map(basic, report.get("findings", [])), *map(enhanced, report.get("enhancedFindings", []))]
        worst = [finding for finding in findings if CLASSES.get(finding["severity"], "low") == name
                 and finding["status"] not in ("CLOSED", "SUPPRESSED")]
        worst.sort(key=lambda finding: (not finding["exploit"], finding["fixed"] is None, finding["name"]))
        first = f", {worst[0]['name']} in {worst[0]['package']} first" if worst else ""
        summary = f"image {activity['repository']}@{activity['digest'][:19]} has {count} {name} findings{first}"
        evidence = {key: activity[key] for key in ("repository", "digest", "tags", "counts", "read_by")}
        return found(activity, summary, evidence | {"count": count, "top_findings": worst[:10]})

    return judge


def lowered(activity):
    if activity["kind"] != "rail":
        return "not applicable", "no protecting setting was changed"
    if activity["error"]:
        return "not applicable", f"nothing was changed: {activity['error']}"
    setting, value = activity["setting"], activity["value"]
    if setting == "allowed-images":
        what = None if value == "enabled" else f"Allowed AMIs was put in {value}"
    elif setting == "criteria":
        count, providers = value
        owners = POLICY["images"]["approved"]["owners"]
        strangers = [provider for provider in providers if provider not in ("none", "self") and not (
            provider == "amazon" and "amazon" in owners or provider == activity["account"]
            or any(stands_for(word, provider, activity) for word in owners))]
        what = f"the criteria now admit {strangers}" if strangers or not count or not providers else None
    elif setting == "scan-on-push":
        what = None if value else "scanning on push was switched off"
    elif setting == "registry-scanning":
        manual = [name for frequency, names in value[1] if frequency == "MANUAL" for name in names]
        what = f"scanning became manual for {manual}" if manual or not value[1] else None
    else:
        what = None if value.startswith("IMMUTABLE") else f"tags became mutable ({value})"
    if not what:
        return "pass", "the setting still protects"
    return found(activity, f"{what}, for {activity['target']}", {"setting": setting, "target": activity["target"]})


DETECTIONS = {
    "machine-image-not-approved": not_approved,
    "machine-image-laundered": laundered,
    "guard-rail-lowered": lowered,
    "ecr-scan-critical": scanned("critical"),
    "ecr-push-outside-hours": outside_hours,
    "ecr-push-unknown-user": unknown_user,
    "ecr-scan-high": scanned("high"),
    "launch-attempt-denied": denied,
    "ecr-scan-medium": scanned("medium"),
    "ecr-scan-low": scanned("low"),
}


def evaluate(payload):
    verdicts = []
    for activity in activities(payload):
        for name, judge in DETECTIONS.items():
            try:
                verdicts.append((name, *judge(activity)))
            except Unknown as unknown:
                verdicts.append((name, "cannot tell", str(unknown)))
    return verdicts


def samples():
    for path in sorted(EVENTS.iterdir()):
        if path.suffix in (".json", ".gz"):
            data = path.read_bytes()
            yield path.name, json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def main(arguments):
    payloads = list(samples())
    if arguments == ["--verdicts"]:
        answer = {}
        for name, payload in payloads:
            told = [(detection, verdict) for detection, verdict, _ in evaluate(payload)
                    if verdict in ("match", "cannot tell")]
            answer[name] = sorted(f"{detection}: {verdict}" for detection, verdict in told)
        print(json.dumps(answer))
        return
    rounds = int(arguments[1])
    for _, payload in payloads:
        evaluate(payload)
    before = time.process_time_ns()
    for _ in range(rounds):
        for _, payload in payloads:
            evaluate(payload)
    spent = time.process_time_ns() - before
    print(json.dumps({"payloads": len(payloads), "rounds": rounds, "cpu_ns": spent}))


if __name__ == "__main__":
    main(sys.argv[1:])
