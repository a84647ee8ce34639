"""The same tests as Imagewarden's, over the same sample events, facts and policy, as plain Python.

    evaluate.py --rounds N      judge every sample N times; prints the processor time of it as JSON
    evaluate.py --verdicts      prints what matched and what could not be told, by sample, as JSON

What reads the events is reading.py.
"""

import fnmatch
import functools
import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml
from reading import basic, enhanced, read

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
LISTS = ROOT / "src/detection/data"
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CLASSES = {"CRITICAL": "critical", "HIGH": "high", "MEDIUM": "medium"}
BY_ECR = {"pullthroughcache.ecr.amazonaws.com", "replication.ecr.amazonaws.com"}

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
        version = reference["version"] or "$Default"
        of_template = [
            entry for entry in self.templates
            if (reference["launchTemplateId"] or entry["LaunchTemplateId"]) == entry["LaunchTemplateId"]
            and (reference["launchTemplateName"] or entry["LaunchTemplateName"]) == entry["LaunchTemplateName"]
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
    now = activity["time"]
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
    kind, name = activity["image"]
    image = name if kind == "id" else None
    instances = [instance["id"] for instance in activity["instances"]]
    if not image and not instances:
        started = FACTS.launched.get(activity["token"]) if activity["outcome"] == "succeeded" else None
        if started:
            image, instances = started[0]["ImageId"], [one["InstanceId"] for one in started]
        elif kind == "template":
            version = FACTS.template(name)
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
    tags = dict(activity["tags"])
    tagged = any(like(rule["value"])(tags.get(rule["key"], "")) for rule in scope["tags"])
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
        "image": fact.get("ImageId", activity["image"][1]), "image_name": fact.get("Name"),
        "image_owner": fact.get("OwnerId"), "owner_alias": fact.get("ImageOwnerAlias"), "public": fact.get("Public"),
        "created": fact.get("CreationDate"), "deprecated": fact.get("DeprecationTime"),
        "instances": [instance["id"] for instance in activity["instances"][:20]] or None, "instance_count": activity["count"],
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
        foreign, seen = None, {"image": activity["image"], "made_by": activity["operation"]}
        for kind, name, *region in activity["origins"]:
            foreign = foreign or origin(activity, kind, name, region[0] if region else activity["region"])
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
    actor = activity["actor"] or {}
    if actor.get("invoked_by") in BY_ECR or actor.get("kind") in ("awsservice", "servicelinkedrole"):
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
    local = activity["time"].astimezone(ZoneInfo(zone) if zone else timezone.utc)
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
    for activity in read(payload):
        for name, judge in DETECTIONS.items():
            try:
                verdicts.append((name, *judge(activity)))
            except Unknown as unknown:
                verdicts.append((name, "cannot tell", str(unknown)))
    return verdicts


OTHER_CLOUDS = ("imagewarden.azure", "imagewarden.gcp")


def samples():
    """The events as the function gets them: those in EventBridge's envelope, other clouds' left out."""
    for path in sorted(EVENTS.glob("*.json")):
        payload = json.loads(path.read_text())
        if "detail-type" in payload and payload.get("source") not in OTHER_CLOUDS:
            yield path.name, payload


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
