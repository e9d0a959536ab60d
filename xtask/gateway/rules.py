"""Makes the gateway's rules: botocore's models say how operations are spoken to, the table of IAM's actions says what they are about, and
`services.json` beside this file says which parameters name which kinds of resources. The same inputs give the same bytes.

Usage: rules.py METADATA OUTPUT, with a Python that has botocore.

A service of `services.json`: `data` (botocore's name), `signing` names, `prefix` of its actions, `kinds` of resources, `types` (a kind's name in IAM's table where it
is another), `bind` (kinds, and the parameters that name one, of which the first that is there counts; a list is several values of one ARN), `keys` (condition keys and
their parameters), `derived` (keys that we know without the request), `ops` (what is special about operations).
"""

import glob
import gzip
import json
import os
import re
import sys

import botocore

HERE = os.path.dirname(os.path.abspath(__file__))

# Operations that CloudTrail counts among the data events, beside DynamoDB's on items.
DATA = {
    "sqs": "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility ChangeMessageVisibilityBatch",
    "sns": "Publish PublishBatch",
    "dynamodb": "GetRecords",
}


class Metadata:
    """What IAM's table (crates/metadata) says of one service."""

    def __init__(self, text, prefix):
        block = next(block for block in text.split("\n\n") if block.startswith(f"service\t{prefix}\t"))
        self.short, self.type_keys, self.actions = {}, {}, {}
        current = None
        for line in block.split("\n")[1:]:
            fields = line.split("\t")
            if fields[0] == "=":
                self.short["=" + fields[1]] = fields[2]
            elif fields[0] == "type":
                self.type_keys[fields[1]] = self.list(fields[3]) if len(fields) > 3 else []
            elif fields[0] == ">":
                current = self.action(fields)
            elif len(fields) == 1 and fields[0]:
                self.actions[fields[0]] = current

    def list(self, text):
        """A comma-separated list in which `=n` stands for another."""
        whole = ",".join(self.short.get(part, part) for part in text.split(","))
        return [part for part in whole.split(",") if part]

    def action(self, fields):
        """Access level, resource types (with `!` where one is required), and condition keys."""
        types = fields[2] if len(fields) > 2 and fields[2] != "-" else ""
        while types in self.short:
            types = self.short[types]
        types = ",".join(self.short.get(part, part) for part in re.findall(r"[^,(]+(?:\([^)]*\))?", types))
        keys = self.list(fields[3]) if len(fields) > 3 else []
        for inner in re.findall(r"\(([^)]*)\)", types):
            keys += self.list(inner)
        types = [part for part in re.sub(r"\([^)]*\)", "", types).split(",") if part]
        return fields[1], types, keys


class Service:
    """One service while its rules are made."""

    def __init__(self, conf, metadata_text):
        self.conf, self.prefix = conf, conf["prefix"]
        folder = os.path.join(os.path.dirname(botocore.__file__), "data", conf["data"])
        with gzip.open(sorted(glob.glob(folder + "/*/service-2.json.gz"))[-1]) as file:
            model = json.load(file)
        self.head, self.shapes, self.operations = model["metadata"], model["shapes"], model["operations"]
        self.protocol = self.head["protocol"]
        self.metadata = Metadata(metadata_text, self.prefix)
        self.actions = {name.lower(): name for name in self.metadata.actions}

    def list_path(self, member):
        """What a path has behind the name of a list."""
        shape = self.shapes[member["shape"]]
        if shape["type"] != "list":
            return ""
        if self.protocol != "query" or shape.get("flattened"):
            return "[]"
        return f"[{shape['member'].get('locationName', 'member')}]"

    def name_path(self, name, member):
        """How a parameter is called on the wire."""
        shape = self.shapes[member["shape"]]
        if self.protocol == "query" and shape.get("flattened") and shape["type"] == "list" and "locationName" in shape["member"]:
            return shape["member"]["locationName"]
        name = member.get("locationName", name)
        # In XML every element is a list.
        return name + "[]" if self.protocol == "rest-xml" and "location" not in member else name

    def rules(self):
        conf = self.conf
        service = {"signingNames": conf["signing"], "prefix": self.prefix}
        if "source" in conf:
            service["eventSource"] = conf["source"]
        service["protocol"] = self.protocol
        if self.protocol == "json":
            service["targets"] = [self.head["targetPrefix"]]
        if self.protocol == "query":
            service["versions"], service["xmlNamespace"] = [self.head["apiVersion"]], self.head["xmlNamespace"]
        if self.protocol == "rest-xml":
            service["xmlNamespace"] = conf["ns"]
        for name in ("global", "deniedCode"):
            if conf.get(name):
                service[name] = conf[name]
        service["resources"] = conf["kinds"]
        service["operations"] = {name: self.operation(name) for name in sorted(self.operations)}
        return service

    def operation(self, name):
        special = self.conf.get("ops", {}).get(name, {})
        model = self.operations[name]
        shape = self.shapes[model["input"]["shape"]] if "input" in model else {}
        members, required = shape.get("members", {}), shape.get("required", [])
        rule = {}
        if "rest" in self.protocol:
            rule["route"] = model["http"]["method"] + " " + model["http"]["requestUri"].split("?")[0]
        if "refuse" in special:
            rule["refuse"] = special["refuse"]
            return rule
        if "action" in special:
            rule["action"] = special["action"]
        action = self.actions.get(special.get("action", name).lower())
        if not action and "noaction" not in special:
            rule["refuse"] = "IAM has no action of this name"
            return rule
        level, types, keys = self.metadata.actions[action] if action else (None, [], [])
        reads = level in ("R", "L")
        if reads or "read" in special:
            rule["readOnly"] = True
        if "reader" in special or name in DATA.get(self.prefix, "").split():
            rule["data"] = True
        filled = set()
        if "reader" in special:
            rule["reader"] = special["reader"]
            filled |= set(special["filled"])
        elif "noop" not in special:
            resources = special.get("resources") or self.resources(members, required, types, reads)
            if resources:
                rule["resources"] = resources
        found = self.keys(members, types, keys, filled)
        for key, path in special.get("keys", {}).items():
            found[key] = path
            filled.add(key.replace(self.prefix + ":", ":", 1))
        if found:
            rule["keys"] = found
        self.tags(members, rule, filled)
        unread = special.get("un") or self.unread(rule, types, keys, filled)
        if unread:
            rule["unread"] = unread
        if "nameless" in special:
            rule["nameless"] = special["nameless"]
        return rule

    def resources(self, members, required, types, reads):
        if not types:
            return ["*"]
        known = {name.rstrip("!") for name in types}
        needed = any(name.endswith("!") for name in types)
        resources, used = [], set()
        for kinds, parameters in self.conf["bind"]:
            names = set()
            for kind in kinds.split("|"):
                of_table = self.conf["types"].get(kind, kind)
                names |= set(of_table) if isinstance(of_table, list) else {of_table}
            if not names & known:
                continue
            for parameter in parameters:
                several = parameter if isinstance(parameter, list) else [parameter]
                if not all(name in members for name in several) or tuple(several) in used:
                    continue
                used.add(tuple(several))
                if isinstance(parameter, list):
                    path = [self.name_path(name, members[name]) for name in several]
                else:
                    shape = self.shapes[members[parameter]["shape"]]
                    if shape["type"] == "list" and self.shapes[shape["member"]["shape"]]["type"] != "string":
                        continue
                    path = self.name_path(parameter, members[parameter]) + self.list_path(members[parameter])
                resource = {"kind": kinds, "from": path}
                if not all(name in required for name in several):
                    resource["optional"] = True
                resources.append(resource)
                break
        # The action is about one that the request need not name.
        if needed and not reads and len(resources) == 1 and resources[0].pop("optional", False):
            resources[0]["else"] = "?"
        return resources

    def keys(self, members, types, keys, filled):
        found = {}
        known = set(keys).union(*(self.metadata.type_keys.get(name.rstrip("!"), []) for name in types))
        for key, paths in self.conf.get("keys", {}).items():
            short = ":" + key
            if short == ":EncryptionContext:":
                short += "${EncryptionContextKey}"
            if short not in known:
                continue
            for path in paths:
                head = re.split(r"[\[{.]", path)[0]
                if head in members:
                    if path == head and not key.endswith(":"):
                        path = self.name_path(head, members[head]) + self.list_path(members[head])
                    found[f"{self.prefix}:{key}"] = path
                    filled.add(short)
                    break
        return found

    def tags(self, members, rule, filled):
        if self.protocol == "rest-xml":
            return
        for name in ("Tags", "tags", "Tag", "TagList", "AddTags"):
            if name not in members:
                continue
            shape = self.shapes[members[name]["shape"]]
            if shape["type"] == "map":
                rule["tags"] = {"map": self.name_path(name, members[name])}
                filled |= {"aws:RequestTag/", "aws:TagKeys"}
            elif shape["type"] == "list":
                element = self.shapes[shape["member"]["shape"]].get("members", {})
                key = next((one for one in element if one in ("Key", "TagKey")), None)
                value = next((one for one in element if one in ("Value", "TagValue")), None)
                if key and value:
                    rule["tags"] = {"each": self.name_path(name, members[name]) + self.list_path(members[name])}
                    if key != "Key":
                        rule["tags"].update(key=key, value=value)
                    filled |= {"aws:RequestTag/", "aws:TagKeys"}
        for name in ("TagKeys", "tagKeys"):
            if name in members and "rest" not in self.protocol:
                rule["tagKeys"] = self.name_path(name, members[name]) + self.list_path(members[name])
                filled.add("aws:TagKeys")

    def unread(self, rule, types, keys, filled):
        """The keys that the action has and the request does not say."""
        # Tags of the request are absent where it can't carry any: those of a type are about the resource then.
        can_tag = "tags" in rule or "tagKeys" in rule
        unread = []
        for key in sorted(set(keys).union(*(self.metadata.type_keys.get(name.rstrip("!"), []) for name in types))):
            if key in filled or key in ("aws:RequestTag/", "aws:TagKeys") and not (can_tag or key in keys):
                continue
            key = ":RecipientAttestation:" if ":RecipientAttestation:" in key else key.replace("${EncryptionContextKey}", "")
            key = self.prefix + key if key.startswith(":") else key
            if key not in unread and key not in self.conf.get("derived", []):
                unread.append(key)
        return unread


def query_of_sqs(service):
    """SQS has a second protocol, that of its clients before 2023."""
    operations = json.loads(json.dumps(service["operations"]))
    for rule in operations.values():
        if "tags" in rule:
            rule["tags"] = {"each": "Tag[]"}
        if "tagKeys" in rule:
            rule["tagKeys"] = "TagKey[]"
    head = {"signingNames": ["sqs"], "prefix": "sqs", "protocol": "query", "versions": ["2012-11-05"]}
    return head | {"xmlNamespace": "http://queue.amazonaws.com/doc/2012-11-05/", "resources": service["resources"], "operations": operations}


def written(services):
    """One line for each kind and operation, so that a change of one is a change of one line."""

    def members(items, indent, line):
        return [indent + json.dumps(name) + ": " + line(name, value) for name, value in items]

    def service(rules):
        def line(name, value):
            if name not in ("resources", "operations"):
                return json.dumps(value)
            return "{\n" + ",\n".join(members(value.items(), " " * 8, lambda _, one: json.dumps(one))) + "\n      }"

        return "    {\n" + ",\n".join(members(rules.items(), " " * 6, line)) + "\n    }"

    head = '{\n  "about": "Rules of the gateway; docs/gateway.md describes the form.",\n  "services": [\n'
    return head + ",\n".join(service(rules) for rules in services) + "\n  ]\n}\n"


def main(metadata, output):
    with open(metadata) as file:
        text = file.read()
    with open(os.path.join(HERE, "services.json")) as file:
        confs = json.load(file)
    services = []
    for conf in confs:
        services.append(Service(conf, text).rules())
        if conf["data"] == "sqs":
            services.append(query_of_sqs(services[-1]))
    with open(output, "w") as file:
        file.write(written(services))


main(*sys.argv[1:])
