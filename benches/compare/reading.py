"""What src/source does, in Python: any payload to activities, as lenient about dialects and wrappings.

Keys are compared without case, null is absent, lists come in several forms, numbers may be strings, and everything that an
alert shows is taken along.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta, timezone

MAX_DEPTH = 12
IMAGE_ID = re.compile(r"ami-[0-9a-fA-F]{8,17}")
COSIGN_TAG = re.compile(r"sha256-[0-9a-fA-F]{64}\.(sig|att|sbom)")
MAX_METADATA = 16 << 20
OLD_LISTS = ["userIds", "userIdSet", "userGroups", "userGroupSet", "organizationArns", "organizationArnSet",
             "organizationalUnitArns", "organizationalUnitArnSet"]

# ---- Fields ------------------------------------------------------------------------------------------


def content(value):
    if isinstance(value, dict) and len(value) == 2 and "tag" in value and "content" in value:
        return value["content"]
    return value


def get(value, key):
    if not isinstance(value, dict):
        return None
    found = value.get(key)
    if found is None:
        wanted = key.lower()
        found = next((inner for name, inner in value.items() if name.lower() == wanted), None)
    return content(found)


def at(value, *path):
    for key in path:
        value = get(value, key)
    return value


def any_of(value, *keys):
    for key in keys:
        if (found := get(value, key)) is not None:
            return found
    return None


def scalar(value):
    value = content(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return value if isinstance(value, str) and value else None


def text(value, *path):
    return scalar(at(value, *path))


def string(value, key):
    found = get(value, key)
    return found if isinstance(found, str) and found else None


def account(value, key):
    found = get(value, key)
    return f"{found:012}" if isinstance(found, int) else scalar(found)


def count(value):
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return None


def flag(value, key):
    found = get(value, key)
    if isinstance(found, str):
        return {"true": True, "false": False}.get(found.lower())
    return found if isinstance(found, bool) else None


def elements(value):
    value = content(value)
    if isinstance(value, dict):
        inner = next((one for key, one in value.items() if key.lower() in ("items", "item", "member", "entry")), None)
        value = content(inner) if inner is not None else value
    if isinstance(value, list):
        return [one for one in map(content, value) if one is not None]
    return [] if value is None or value == {} else [value]


def list_of(value, key):
    return elements(get(value, key))


def objects(value, key):
    return [one for one in list_of(value, key) if isinstance(one, dict)]


def texts(value, key):
    return [one for one in map(scalar, list_of(value, key)) if one]


def find(value, key):
    queue = [value]
    for one in queue:
        if isinstance(one, dict):
            if (found := string(one, key)) is not None:
                return found
            queue.extend(one.values())
        elif isinstance(one, list):
            queue.extend(one)
    return None


def arn_of(value):
    parts = value.split(":", 5) if value else []
    return parts if len(parts) == 6 and parts[0] == "arn" else None


def repository_of(arn):
    if not arn or arn[2] not in ("ecr", "ecr-public") or not arn[5].startswith("repository/"):
        return None
    return arn[5].removeprefix("repository/").split("/sha256:")[0] or None


# ---- Envelopes and wrappings -----------------------------------------------------------------------------


class Envelope:
    def __init__(self):
        self.id = self.account = self.region = self.time = None
        self.resources, self.place, self.depth = [], "", 0
        self.received = datetime.now(timezone.utc)

    def inside(self, step):
        inner = Envelope.__new__(Envelope)
        inner.__dict__.update(self.__dict__)
        inner.place = f"{self.place}.{step}" if self.place else step
        inner.depth = self.depth + 1
        return inner

    def time_of(self, value):
        try:
            time = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except (AttributeError, ValueError):
            return None
        return time if time.year >= 2006 and time <= self.received + timedelta(days=2) else None

    def activity(self, record, **fields):
        time = fields.pop("time", None) or self.time
        identity = fields.pop("id", None) or self.id
        if identity is None:
            identity = "content-" + hashlib.sha256(json.dumps(record).encode()).hexdigest()[:32]
        activity = {"id": identity, "time": time or self.received, "time_is_arrival": time is None, "cloud": "AWS",
                    "actor": None, "api": None, "error": None, "account": self.account or "", "region": self.region or ""}
        activity.update((key, value) for key, value in fields.items() if value is not None or key not in activity)
        return activity


def read(payload):
    return read_in(payload, Envelope())


def read_in(value, envelope):
    if envelope.depth > MAX_DEPTH:
        raise ValueError(f"wrapped more than {MAX_DEPTH} times")
    if isinstance(value, list):
        return read_all(value, envelope, "")
    if not isinstance(value, dict) or not value:
        raise ValueError("no event")
    if (payload := get(value, "requestPayload")) is not None:
        return read_inner(payload, envelope.inside("requestPayload"))
    for name in ("Records", "Messages", "Events"):
        if isinstance(inner := get(value, name), list):
            return read_all(inner, envelope, name)
    if inner := string(value, "CloudTrailEvent"):
        return read_inner(inner, envelope.inside("CloudTrailEvent"))
    if string(value, "eventSource") == "aws:sqs" or (
            any_of(value, "messageId", "receiptHandle", "eventSourceARN") is not None and get(value, "body") is not None):
        return read_inner(get(value, "body"), envelope.inside("body"))
    if isinstance(notification := get(value, "Sns"), dict):
        return read_inner(get(notification, "Message"), envelope.inside("Sns.Message"))
    if string(value, "Type") == "Notification" or (
            get(value, "TopicArn") is not None and get(value, "Message") is not None):
        return read_inner(get(value, "Message"), envelope.inside("Message"))
    if get(value, "detail-type") is not None or get(value, "detail") is not None and (
            any_of(value, "source", "time", "id") is not None):
        return read_event(value, envelope)
    if any_of(value, "eventName", "eventSource", "eventVersion", "userIdentity", "eventID") is not None:
        return read_record(value, envelope)
    raise ValueError("no EventBridge event, CloudTrail record, SQS or SNS delivery, or failure record")


def read_all(values, envelope, name):
    activities = []
    for index, value in enumerate(values):
        activities += read_in(value, envelope.inside(f"{name}[{index}]"))
    return activities


def read_inner(value, envelope):
    return read_in(json.loads(value) if isinstance(value, str) else value, envelope)


def read_event(event, outer):
    envelope = outer.inside("detail")
    envelope.id = text(event, "id")
    envelope.account = account(event, "account") or outer.account
    envelope.region = text(event, "region") or outer.region
    envelope.time = outer.time_of(string(event, "time"))
    envelope.resources = texts(event, "resources")
    detail = get(event, "detail")
    if isinstance(detail, str):
        detail = json.loads(detail)
    kind = string(event, "detail-type") or "AWS API Call via CloudTrail"
    if kind.startswith("AWS ") and kind.endswith(" via CloudTrail"):
        return read_record(detail, envelope)
    if kind == "ECR Image Scan":
        return [envelope.activity(detail, **counted(detail, envelope))]
    if kind == "Inspector2 Scan":
        scan = counted(detail, envelope)
        return [envelope.activity(detail, **scan)] if scan["repository"] or scan["digest"] else []
    if kind == "Inspector2 Finding":
        return findings_of(detail, envelope)
    if kind == "ECR Scan Resource Change":
        rules = {}
        for repository in list_of(detail, "repositories"):
            name = text(repository, "repository-name") or repository_of(arn_of(string(repository, "repository-arn")))
            rules.setdefault(text(repository, "scan-frequency") or "", []).append(name)
        return [envelope.activity(detail, kind="rail", setting="registry-scanning", target=envelope.account,
                                  value=(text(detail, "scan-type"), list(rules.items())), principal="unknown")]
    return []


# ---- Scans ------------------------------------------------------------------------------------------------


def counts_of(value):
    counts = {}
    for severity, number in (value or {}).items():
        if severity.upper() != "TOTAL" and (number := count(number)):
            counts[severity.upper()] = number
    return counts


def status_of(word, told, counts):
    word = (word or "").upper()
    if "FAIL" in word:
        return word
    if counts:
        return None
    if not told:
        return "NO_RESULTS_IN_EVENT"
    return None if not word or "COMPLETE" in word or word == "ACTIVE" else word


def counted(detail, envelope):
    named = string(detail, "repository-name")
    arns = map(arn_of, [named, *envelope.resources])
    arn = next((arn for arn in arns if repository_of(arn)), None)
    repository = named if named and not named.startswith("arn:") else repository_of(arn) or named or ""
    told = get(detail, "finding-severity-counts")
    counts = counts_of(told)
    return {
        "kind": "scan", "failed": status_of(string(detail, "scan-status"), told is not None, counts),
        "repository": repository, "registry": arn[4] if arn else envelope.account, "counts": counts, "findings": [],
        "digest": text(detail, "image-digest") or "", "tags": texts(detail, "image-tags"), "read_by": None,
        "principal": "unknown",
    }


def basic(value):
    attributes = {string(one, "key"): text(one, "value") for one in list_of(value, "attributes")}
    return {"name": text(value, "name") or "", "severity": (string(value, "severity") or "UNDEFINED").upper(),
            "package": attributes.get("package_name"), "version": attributes.get("package_version"), "fixed": None,
            "uri": text(value, "uri"), "exploit": None, "status": None}


def enhanced(value):
    details = get(value, "packageVulnerabilityDetails")
    package = next(iter(list_of(details, "vulnerablePackages")), None)
    status = string(value, "status")
    return {"name": text(details, "vulnerabilityId") or text(value, "title") or "",
            "severity": (string(value, "severity") or "UNDEFINED").upper(), "package": text(package, "name"),
            "version": text(package, "version"), "fixed": text(package, "fixedInVersion"),
            "uri": text(details, "sourceUrl"), "status": status.upper() if status else None,
            "exploit": {"YES": True, "NO": False}.get((text(value, "exploitAvailable") or "").upper())}


def findings_of(detail, envelope):
    scans = []
    updated = any_of(detail, "updatedAt", "lastObservedAt")
    status = (string(detail, "status") or "").upper()
    for resource in objects(detail, "resources"):
        image = at(resource, "details", "awsEcrContainerImage")
        if image is None and string(resource, "type") != "AWS_ECR_CONTAINER_IMAGE":
            continue
        name = string(resource, "id")
        arn = arn_of(name)
        finding = enhanced(detail)
        digest = text(image, "imageHash") or ("sha256:" + name.rsplit("/sha256:", 1)[-1] if name else "")
        scans.append(envelope.activity(
            detail, id=f"{text(detail, 'findingArn')}|{status}|{updated}", account=account(detail, "awsAccountId"),
            kind="scan", failed=status if status in ("CLOSED", "SUPPRESSED") else None, digest=digest,
            repository=text(image, "repositoryName") or repository_of(arn) or "",
            registry=account(image, "registry") or (arn[4] if arn else None), tags=texts(image, "imageTags"),
            counts={finding["severity"]: 1}, findings=[finding], read_by=None, principal="unknown"))
    return scans


# ---- CloudTrail ---------------------------------------------------------------------------------------------


def actor_of(identity, event_account):
    if not isinstance(identity, dict) or not identity:
        return None
    arn, issuer = text(identity, "arn"), at(identity, "sessionContext", "sessionIssuer")
    issuer_arn = text(issuer, "arn")
    known = arn_of(arn) or arn_of(issuer_arn)
    partition = known[1] if known else "aws"
    owner = account(identity, "accountId") or account(issuer, "accountId") or (known[4] if known else None)
    user, principal_id = text(identity, "userName"), text(identity, "principalId")
    resource = (arn_of(arn) or [""] * 6)[5]
    kind = (text(identity, "type") or "").lower()
    if not kind:
        kind = ("root" if resource == "root" else "iamuser" if resource.startswith("user/")
                else "assumedrole" if resource.startswith(("assumed-role/", "role/")) or issuer_arn
                else "federateduser" if resource.startswith("federated-user/")
                else "awsservice" if not arn and get(identity, "invokedBy") is not None else "")
    iam = f"arn:{partition}:iam::{owner or event_account}:"
    session = None
    if kind == "root":
        principal, name = arn or iam + "root", "root"
    elif kind == "iamuser":
        principal = iam + resource if resource.startswith("user/") else arn or iam + f"user/{user}"
        name = user or principal.rsplit("/", 1)[-1]
    elif kind in ("assumedrole", "role"):
        role, _, session = resource.removeprefix("assumed-role/").partition("/")
        session = session or (principal_id or "").partition(":")[2] or None
        principal = issuer_arn or (iam + f"role/{role}" if role else principal_id or "unknown")
        name = text(issuer, "userName") or principal.rsplit("/", 1)[-1]
        if ":role/aws-reserved/sso.amazonaws.com/" in principal:
            kind, name = "ssouser", session or name
        elif ":role/aws-service-role/" in principal:
            kind = "servicelinkedrole"
    elif kind == "federateduser":
        principal = issuer_arn or arn or principal_id or "unknown"
        name = resource.removeprefix("federated-user/") or user or principal.rsplit("/", 1)[-1]
    elif kind == "awsservice":
        principal = name = text(identity, "invokedBy") or arn or "unknown"
    elif kind == "identitycenteruser":
        person = text(identity, "onBehalfOf", "userId")
        principal = f"arn:{partition}:identitystore:::user/{person}" if person else principal_id or "unknown"
        name = user or person or principal
    else:
        principal = principal_id or arn or (iam + f"user/{user}" if user else "unknown")
        name = user or text(identity, "identityProvider") or principal.rsplit("/", 1)[-1]
    context = get(identity, "sessionContext")
    return {"kind": kind, "principal": principal, "name": name, "account": owner, "session": session,
            "source_identity": text(context, "sourceIdentity"), "invoked_by": text(identity, "invokedBy"),
            "access_key_id": text(identity, "accessKeyId"), "mfa": flag(get(context, "attributes"), "mfaAuthenticated")}


class Record:
    def __init__(self, raw, envelope, operation):
        self.raw, self.envelope, self.operation = raw, envelope, operation
        self.request, self.response = self.body("requestParameters", "Request"), self.body("responseElements", "Response")
        code = text(raw, "errorCode")
        if code is None:
            self.error = "UnknownError" if text(raw, "errorMessage") else None
        else:
            self.error = code.removeprefix("Client.").removeprefix("Server.")
        identity = get(raw, "userIdentity")
        self.account = account(raw, "recipientAccountId") or envelope.account or account(identity, "accountId") or ""
        self.region = text(raw, "awsRegion") or envelope.region or ""

    def body(self, key, suffix):
        body = get(self.raw, key)
        if not isinstance(body, dict) or get(body, "omitted") is not None:
            return None
        inner = get(body, self.operation + suffix)
        return inner if isinstance(inner, dict) else body

    def dry_run(self):
        return (self.error or "").startswith("DryRun") or flag(self.request, "dryRun") is True

    def activity(self, by_caller=True, **fields):
        raw = self.raw
        actor = actor_of(get(raw, "userIdentity"), self.account) if by_caller else None
        api = {
            "service": text(raw, "eventSource"), "operation": self.operation,
            "error_code": text(raw, "errorCode") or self.error, "error_message": text(raw, "errorMessage"),
            "request_id": text(raw, "requestID"), "source_ip": text(raw, "sourceIPAddress"),
            "user_agent": text(raw, "userAgent"),
        }
        return self.envelope.activity(
            raw, id=text(raw, "eventID"), time=self.envelope.time_of(string(raw, "eventTime")), account=self.account,
            region=self.region, actor=actor, api=api, error=self.error,
            principal=actor["principal"] if actor else "unknown", **fields)


def read_record(value, envelope):
    operation = string(value, "eventName")
    if operation is None:
        raise ValueError("CloudTrail record without eventName")
    service = (string(value, "eventSource") or "").split(".")[0]
    if service == "ec2":
        return ec2(Record(value, envelope, operation))
    if service in ("ecr", "ecr-public"):
        return ecr(Record(value, envelope, operation), service == "ecr-public")
    return []


def ec2(record):
    if record.operation == "RunInstances":
        return [record.activity(**launch) for launch in launches(record)]
    if record.operation in ("CopyImage", "CreateImage", "RegisterImage", "ImportImage"):
        return derived(record)
    if record.operation == "ModifyImageAttribute":
        return shared(record)
    if record.operation == "DisableAllowedImagesSettings":
        return rail(record, "allowed-images", "disabled", record.account)
    if record.operation == "EnableAllowedImagesSettings":
        state = find(record.request, "allowedImagesSettingsState") or find(record.response, "allowedImagesSettingsState")
        return rail(record, "allowed-images", state or "", record.account)
    if record.operation == "ReplaceImageCriteriaInAllowedImagesSettings":
        criteria = elements(any_of(record.request, "imageCriteria", "imageCriterion", "imageCriterionSet"))
        providers = []
        for criterion in criteria:
            named = any_of(criterion, "imageProviders", "imageProvider", "imageProviderSet")
            for provider in elements(named):
                provider = f"{provider:012}" if isinstance(provider, int) else scalar(provider)
                if provider and provider not in providers:
                    providers.append(provider)
        return rail(record, "criteria", (len(criteria), providers), record.account)
    return []


def rail(record, setting, value, target):
    return [record.activity(kind="rail", setting=setting, value=value, target=target)]


def image_ref(value):
    value = value.strip()
    if value.startswith("resolve:ssm:"):
        return "ssm", value.removeprefix("resolve:ssm:")
    return ("id" if IMAGE_ID.fullmatch(value) else "other"), value


def template_of(request):
    template = any_of(request, "launchTemplate", "launchTemplateSpecification")
    known = {key: text(template, key) for key in ("launchTemplateId", "launchTemplateName", "version")}
    return known if known["launchTemplateId"] or known["launchTemplateName"] else None


def tags_of(tags):
    return [(text(tag, "key"), text(tag, "value") or "") for tag in tags if text(tag, "key")]


def how_many(value):
    return count(any_of(value, "maxCount", "minCount"))


def launches(record):
    request = record.request
    outcome = "dry-run" if record.dry_run() else record.error or "succeeded"
    template = template_of(request)
    fallback = ("template", template) if template else ("unknown", None)
    asked = {}
    for item in objects(request, "instancesSet"):
        image = image_ref(text(item, "imageId")) if text(item, "imageId") else fallback
        known = asked.setdefault(repr(image), [image, 0])
        known[1] += how_many(item) or how_many(request) or 1
    if not asked:
        image = find(request, "imageId")
        asked[""] = [image_ref(image) if image else fallback, how_many(request) or 1]
    answers = objects(record.response, "instancesSet") if outcome == "succeeded" else []
    tags = []
    for specification in elements(any_of(request, "tagSpecificationSet", "tagSpecification", "tagSpecifications")):
        if text(specification, "resourceType") in (None, "instance"):
            tags += tags_of(elements(any_of(specification, "tags", "tag", "tagSet")))
    subnets = (text(interface, "subnetId") for interface in list_of(request, "networkInterfaceSet"))
    common = {
        "kind": "launch", "outcome": outcome, "type": text(request, "instanceType"), "tags": tags,
        "subnet": text(request, "subnetId") or next(filter(None, subnets), None), "template": template,
        "user_data": text(request, "userData") is not None, "reservation": text(record.response, "reservationId"),
        "token": text(request, "clientToken"), "response_omitted": outcome == "succeeded" and not answers,
        "message": text(record.raw, "errorMessage"),
    }
    if not answers:
        return [common | {"image": image, "count": number, "instances": []} for image, number in asked.values()]
    only = next(iter(asked.values()))[0] if len(asked) == 1 else ("unknown", None)
    groups = {}
    for answer in answers:
        image = image_ref(text(answer, "imageId")) if text(answer, "imageId") else only
        groups.setdefault(repr(image), (image, []))[1].append(answer)
    return [started(common, image, members) for image, members in groups.values()]


def started(common, image, members):
    instances = [{
        "id": text(member, "instanceId") or "", "type": text(member, "instanceType"),
        "private_ip": text(member, "privateIpAddress"), "subnet": text(member, "subnetId"), "vpc": text(member, "vpcId"),
        "interfaces": [text(one, "networkInterfaceId") for one in list_of(member, "networkInterfaceSet")],
        "profile": text(member, "iamInstanceProfile", "arn") or text(member, "iamInstanceProfile", "name"),
        "tags": tags_of(list_of(member, "tagSet")),
    } for member in members]
    tags = list(dict.fromkeys(tag for instance in instances for tag in instance["tags"]))
    by_key = dict(tags)
    template = common["template"]
    if "aws:ec2launchtemplate:id" in by_key:
        template = {"launchTemplateId": by_key["aws:ec2launchtemplate:id"],
                    "launchTemplateName": (template or {}).get("launchTemplateName"),
                    "version": by_key.get("aws:ec2launchtemplate:version") or (template or {}).get("version")}
    return common | {
        "image": image, "instances": instances, "count": len(instances), "tags": tags or common["tags"],
        "type": instances[0]["type"] or common["type"], "subnet": instances[0]["subnet"] or common["subnet"],
        "template": template, "token": common["token"] or text(members[0], "clientToken"),
    }


def snapshots_of(value):
    mapping = any_of(value, "blockDeviceMapping", "blockDeviceMappings", "blockDeviceMappingSet")
    named = (text(device, "ebs", "snapshotId") or text(device, "snapshotId") for device in elements(mapping))
    return [("snapshot", one) for one in named if one]


def derived(record):
    if record.error or record.dry_run():
        return []
    request, origins = record.request, []
    if record.operation == "CopyImage":
        if source := text(request, "sourceImageId"):
            origins = [("image", source, text(request, "sourceRegion") or record.region)]
    elif record.operation == "CreateImage":
        if instance := text(request, "instanceId"):
            origins = [("instance", instance)]
        origins += snapshots_of(request)
    elif record.operation == "RegisterImage":
        origins = snapshots_of(request)
        if location := text(request, "imageLocation"):
            origins.append(("disk", f"s3://{location}"))
    else:
        for disk in elements(any_of(request, "diskContainerSet", "diskContainers", "diskContainer")):
            bucket = get(disk, "userBucket")
            if snapshot := text(disk, "snapshotId"):
                origins.append(("snapshot", snapshot))
            elif url := text(disk, "url") or (bucket and f"s3://{text(bucket, 's3Bucket')}/{text(bucket, 's3Key')}"):
                origins.append(("disk", url))
    return [record.activity(kind="derive", operation=record.operation, image=text(record.response, "imageId"),
                            name=text(request, "name") or text(request, "description"), origins=origins)]


def grantee(item):
    known = any_of(item, "userId", "group", "groupName", "organizationArn", "organizationalUnitArn")
    return scalar(known) or scalar(item)


def shared(record):
    if record.error or record.dry_run():
        return []
    request, permission = record.request, get(record.request, "launchPermission")
    attribute = any_of(request, "attributeType", "attribute")
    if isinstance(attribute, str):
        another = attribute.lower() != "launchpermission"
    else:
        another = any_of(request, "description", "imdsSupport", "productCodes", "productCodeSet") is not None
    if permission is None and another:
        return []
    added = list(filter(None, map(grantee, list_of(permission, "add"))))
    removed = list(filter(None, map(grantee, list_of(permission, "remove"))))
    named = [scalar(one) or grantee(one) for key in OLD_LISTS for one in list_of(request, key)]
    (removed if string(request, "operationType") == "remove" else added).extend(filter(None, named))
    return [record.activity(kind="share", image=text(request, "imageId"), added=added, removed=removed)]


def ecr(record, public):
    request, response = record.request, record.response
    arns = [arn_of(string(resource, "ARN")) for resource in list_of(record.raw, "resources")]
    repository = (text(request, "repositoryName") or text(response, "image", "repositoryName")
                  or text(response, "repositoryName") or next(filter(None, map(repository_of, arns)), ""))
    registry = (account(get(response, "image"), "registryId") or account(response, "registryId")
                or account(request, "registryId") or next((arn[4] for arn in arns if repository_of(arn)), record.account))
    if record.operation == "PutImage":
        return [record.activity(**push(record, public), repository=repository, registry=registry)]
    if record.operation == "DescribeImageScanFindings" and not record.error:
        return [record.activity(by_caller=False, **results(record), repository=repository, registry=registry)]
    if record.operation == "PutImageScanningConfiguration":
        on = flag(get(request, "imageScanningConfiguration"), "scanOnPush")
        if on is None:
            on = flag(get(response, "imageScanningConfiguration"), "scanOnPush")
        return rail(record, "scan-on-push", on, repository)
    if record.operation == "PutRegistryScanningConfiguration":
        rules = []
        for rule in list_of(request or get(response, "registryScanningConfiguration"), "rules"):
            filters = [text(one, "filter") for one in list_of(rule, "repositoryFilters")]
            rules.append((text(rule, "scanFrequency") or "", filters))
        return rail(record, "registry-scanning", (text(request, "scanType"), rules), registry)
    if record.operation == "PutImageTagMutability":
        setting = text(request, "imageTagMutability") or text(response, "imageTagMutability")
        return rail(record, "tag-mutability", setting or "", repository)
    return []


def push(record, public):
    image = get(record.response, "image")
    tag = text(record.request, "imageTag") or text(image, "imageId", "imageTag")
    manifest = text(record.request, "imageManifest") or text(image, "imageManifest")
    media_type = text(record.request, "imageManifestMediaType") or text(image, "imageManifestMediaType")
    children = []
    if manifest:
        manifest = json.loads(manifest)
        media_type = string(manifest, "mediaType") or media_type
        artifact = artifact_of(manifest)
        children = [string(child, "digest") for child in list_of(manifest, "manifests")]
    else:
        artifact = "signature" if tag and COSIGN_TAG.fullmatch(tag) else "image"
    return {"kind": "push", "public": public, "tag": tag, "media_type": media_type, "children": children,
            "artifact": artifact,
            "digest": text(image, "imageId", "imageDigest") or text(record.request, "imageDigest")}


def layer_kind(media_type):
    if not isinstance(media_type, str):
        return "image"
    media_type = media_type.lower()
    if any(word in media_type for word in ("image.rootfs", "oci.image.layer")):
        return "image"
    if any(word in media_type for word in ("simplesigning", "sigstore.bundle", "notary.signature", "cosign.artifact.sig")):
        return "signature"
    if any(word in media_type for word in ("in-toto", "dsse", "spdx", "cyclonedx", "vnd.syft", "sbom")):
        return "attestation"
    return "other"


def artifact_of(manifest):
    layers = [layer for key in ("layers", "blobs", "fsLayers") for layer in list_of(manifest, key)]
    media_type = string(manifest, "mediaType") or ""
    if "image.index" in media_type or "manifest.list" in media_type or (
            not layers and get(manifest, "manifests") is not None):
        return "image"
    config = string(get(manifest, "config"), "mediaType")
    is_image = config is None or config.startswith(("application/vnd.oci.image.config",
                                                    "application/vnd.docker.container.image"))
    kinds = [layer_kind(get(layer, "mediaType")) for layer in layers]
    size = sum(count(get(layer, "size")) or 0 for layer in layers)
    if "image" in kinds:
        return "image"
    if kinds and size <= MAX_METADATA and all(kind in ("signature", "attestation") for kind in kinds):
        return "signature"
    return "image" if is_image else "other"


def results(record):
    response = record.response
    found = get(response, "imageScanFindings")
    listed = [*map(basic, list_of(found, "findings")), *map(enhanced, list_of(found, "enhancedFindings"))]
    told = get(found, "findingSeverityCounts")
    counts = counts_of(told)
    if not counts:
        for finding in listed:
            counts[finding["severity"]] = counts.get(finding["severity"], 0) + 1
    status = text(response, "imageScanStatus", "status")
    reader = actor_of(get(record.raw, "userIdentity"), record.account)
    failed = "NO_RESULTS_IN_EVENT" if found is None else status_of(status, told is not None or bool(listed), counts)
    return {"kind": "scan", "failed": failed, "tags": texts(get(record.request, "imageId"), "imageTag"),
            "digest": text(response, "imageId", "imageDigest") or text(record.request, "imageId", "imageDigest") or "",
            "counts": counts, "findings": listed, "read_by": reader and reader["principal"]}
