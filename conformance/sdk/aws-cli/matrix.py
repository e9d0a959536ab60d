"""The steps of the matrix with the AWS CLI, version 1 or 2: MATRIX_AWS is its program. Every call is a process of its own."""

import hashlib
import json
import os
import re
import subprocess
import sys

AWS = os.environ["MATRIX_AWS"]
BUCKET = os.environ["MATRIX_BUCKET"]
CONTENT = bytes(range(256))

with open(os.environ["MATRIX_KEYS"], encoding="utf-8") as file:
    KEYS = json.load(file)


class Unsupported(Exception):
    """The client can't do the step."""


def run(*words, data=None):
    done = subprocess.run([AWS, *words], input=data, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def aws(*words, data=None):
    code, output, errors = run(*words, data=data)
    assert code == 0, f"`{' '.join(words)[:200]}` ended with {code}: {errors}"
    return output


def api(operation, bucket=BUCKET, **arguments):
    words = ["s3api", operation, "--output", "json", "--bucket", bucket]
    for name, value in arguments.items():
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(value if isinstance(value, str) else json.dumps(value))
    return words


def call(operation, bucket=BUCKET, **arguments):
    output = aws(*api(operation, bucket, **arguments))
    return json.loads(output) if output.strip() else {}


def refused(words):
    code, output, errors = run(*words)
    assert code != 0, f"not refused: {output[:200]}"
    found = re.search(r"An error occurred \((\w+)\)", errors)
    assert found, errors
    return found[1]


def put(key, content=b"", bucket=BUCKET, **arguments):
    with open("body", "wb") as file:
        file.write(content)
    return call("put-object", bucket, key=key, body="body", **arguments)


def get(key, bucket=BUCKET, **arguments):
    answer = json.loads(aws(*api("get-object", bucket, key=key, **arguments), "down"))
    with open("down", "rb") as file:
        return file.read(), answer


def identity():
    answer = json.loads(aws("sts", "get-caller-identity", "--output", "json"))
    version = re.match(r"aws-cli/([0-9.]+)", aws("--version").decode())[1]
    return {"account": answer["Account"], "arn": answer["Arn"], "userId": answer["UserId"], "version": version}


def refresh():
    # Processes that share the cache of sessions in the home folder.
    for _ in range(3):
        aws("sts", "get-caller-identity")


def write(folder, name, content):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


# What a file can be called, and what it can't.
PLAIN = [key for key in KEYS if "" not in key.split("/") and ".." not in key]
ODD = [key for key in KEYS if key not in PLAIN]


def objects():
    # A folder there and back again.
    about = ["--metadata", "team=blue", "--content-type", "text/x-matrix"]
    for key in PLAIN:
        write("there", key, key.encode() + CONTENT)
    aws("s3", "cp", "--recursive", "there", f"s3://{BUCKET}/tree", *about)
    aws("s3", "sync", f"s3://{BUCKET}/tree", "back")
    for key in PLAIN:
        with open(os.path.join("back", key), "rb") as file:
            assert file.read() == key.encode() + CONTENT, key
    assert aws("s3", "sync", f"s3://{BUCKET}/tree", "back") == b""
    for key in ["tree/" + PLAIN[0], *ODD]:
        content = key.removeprefix("tree/").encode() + CONTENT
        if key in ODD:
            put(key, content, metadata="team=blue", content_type="text/x-matrix")
        got, answer = get(key)
        assert got == content, key
        assert answer["Metadata"] == {"team": "blue"} and answer["ContentType"] == "text/x-matrix", answer
    # From a pipe and into one.
    content = os.urandom(1 << 20)
    aws("s3", "cp", "-", f"s3://{BUCKET}/streamed", data=content)
    assert aws("s3", "cp", f"s3://{BUCKET}/streamed", "-") == content
    put("empty")
    assert get("empty")[0] == b""
    head = call("head-object", key="streamed", checksum_mode="ENABLED")
    (checksum,) = [name[len("Checksum") :] for name in head if name.startswith("Checksum") and name != "ChecksumType"]
    assert get("streamed", range="bytes=1000-1999")[0] == content[1000:2000]
    aws("s3", "rm", f"s3://{BUCKET}/streamed")
    assert refused([*api("get-object", key="streamed"), "down"]) == "NoSuchKey"
    return {"checksum": checksum}


def multipart():
    content = os.urandom(1 << 20) * 17 + b"the end"
    with open("up", "wb") as file:
        file.write(content)
    aws("s3", "cp", "up", f"s3://{BUCKET}/in parts")
    assert call("head-object", key="in parts")["ETag"].endswith('-3"')
    aws("s3", "cp", f"s3://{BUCKET}/in parts", "back in parts")
    aws("s3", "cp", f"s3://{BUCKET}/in parts", f"s3://{BUCKET}/copied in parts")
    for got in (open("back in parts", "rb").read(), get("copied in parts")[0]):
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()


def presigned_get():
    # Version 1 presigns with signature version 2 unless told so; version 2 takes no notice.
    os.makedirs(os.path.expanduser("~/.aws"), exist_ok=True)
    aws("configure", "set", "default.s3.signature_version", "s3v4")
    key = os.environ["MATRIX_PRESIGNED_GET"]
    put(key, os.environ["MATRIX_PRESIGNED_CONTENT"].encode())
    return {"url": aws("s3", "presign", f"s3://{BUCKET}/{key}", "--expires-in", "3600").decode().strip()}


def presigned_put():
    raise Unsupported("`aws s3 presign` makes URLs for GET only")


def denial():
    with open("body", "wb") as file:
        file.write(b"content")
    # The message does not tell the request's id: the log of the answer does.
    words = ["--debug", *api("put-object", os.environ["MATRIX_FORBIDDEN"], key="key", body="body")]
    code, _, errors = run(*words)
    found = re.search(r"An error occurred \(AccessDenied\) when calling the PutObject operation: (User: .*)", errors)
    assert code in (254, 255) and found, errors[-2000:]
    return {"requestId": re.search(r"'x-amz-request-id': '(\w+)'", errors)[1], "message": found[1]}


def buckets():
    bucket = BUCKET + "-made"
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3api", "wait", "bucket-exists", "--bucket", bucket)
    assert bucket in aws("s3", "ls").decode()
    put("key", bucket=bucket)
    assert refused(["s3", "rb", f"s3://{bucket}"]) == "BucketNotEmpty"
    aws("s3", "rb", f"s3://{bucket}", "--force")
    assert refused(["s3", "ls", f"s3://{bucket}"]) == "NoSuchBucket"


def conditional():
    first = put("conditional", b"first", if_none_match="*")["ETag"]
    again = api("put-object", key="conditional", body="body", if_none_match="*")
    assert refused(again) == "PreconditionFailed"
    second = put("conditional", b"second", if_match=first)["ETag"]
    again = api("put-object", key="conditional", body="body", if_match=first)
    assert refused(again) == "PreconditionFailed"
    assert refused([*api("get-object", key="conditional", if_none_match=second), "down"]) == "304"
    assert refused([*api("get-object", key="conditional", if_match=first), "down"]) == "PreconditionFailed"
    assert get("conditional", if_match=second)[0] == b"second"


def listed(prefix, **arguments):
    return [item["Key"] for item in call("list-objects-v2", prefix=prefix, **arguments).get("Contents", [])]


def made(prefix):
    """Makes objects with one command: a folder of empty files."""
    names = [*(f"{number:02}" for number in range(20)), "folder/nested", *PLAIN]
    for name in names:
        write("made", name, b"")
    aws("s3", "cp", "--recursive", "made", f"s3://{BUCKET}/{prefix}")
    return sorted(prefix + name for name in names)


def listing():
    names = made("list/")
    assert listed("list/", page_size="7") == names
    page = call("list-objects-v2", prefix="list/", delimiter="/")
    folders = sorted({"/".join(name.split("/")[:2]) + "/" for name in names if name.count("/") > 1})
    assert [folder["Prefix"] for folder in page["CommonPrefixes"]] == folders, page
    lines = aws("s3", "ls", f"s3://{BUCKET}/list/", "--page-size", "7").decode()
    assert lines.count(" PRE ") == len(folders), lines


def delete_several():
    names = made("several/")
    answer = call("delete-objects", delete={"Objects": [{"Key": name} for name in names]})
    assert sorted(item["Key"] for item in answer["Deleted"]) == names and "Errors" not in answer, answer
    assert listed("several/") == []


def tags():
    return call("get-object-tagging", key="tagged")["TagSet"]


def tagging():
    put("tagged", tagging="team=blue&what=a%20b")
    assert tags() == [{"Key": "team", "Value": "blue"}, {"Key": "what", "Value": "a b"}]
    wanted = [{"Key": "größe", "Value": "1+1 = 2"}]
    call("put-object-tagging", key="tagged", tagging={"TagSet": wanted})
    assert tags() == wanted
    assert get("tagged")[1]["TagCount"] == 1
    call("delete-object-tagging", key="tagged")
    assert tags() == []


def versions():
    bucket, key = BUCKET + "-versions", "a key"
    call("create-bucket", bucket)
    call("put-bucket-versioning", bucket, versioning_configuration="Status=Enabled")
    assert call("get-bucket-versioning", bucket)["Status"] == "Enabled"
    ids = [put(key, content, bucket)["VersionId"] for content in (b"first", b"second")]
    marker = call("delete-object", bucket, key=key)
    assert marker["DeleteMarker"] is True
    assert refused([*api("get-object", bucket, key=key), "down"]) == "NoSuchKey"
    assert get(key, bucket, version_id=ids[0])[0] == b"first"
    page = call("list-object-versions", bucket)
    assert [version["VersionId"] for version in page["Versions"]] == ids[::-1], page
    assert [version["VersionId"] for version in page["DeleteMarkers"]] == [marker["VersionId"]]
    call("delete-object", bucket, key=key, version_id=marker["VersionId"])
    assert get(key, bucket)[0] == b"second"


STEPS = {
    "identity": identity,
    "refresh": refresh,
    "objects": objects,
    "multipart": multipart,
    "presigned-get": presigned_get,
    "presigned-put": presigned_put,
    "denial": denial,
    "buckets": buckets,
    "conditional": conditional,
    "listing": listing,
    "delete-several": delete_several,
    "tagging": tagging,
    "versions": versions,
}

for step in sys.argv[1:]:
    try:
        line = {"step": step, "result": "pass", **(STEPS[step]() or {})}
    except Unsupported as reason:
        line = {"step": step, "result": "unsupported", "reason": str(reason)}
    except Exception as error:
        line = {"step": step, "result": "fail", "reason": f"{type(error).__name__} at line {error.__traceback__.tb_next.tb_lineno}: {error}"}
    print(json.dumps(line), flush=True)
