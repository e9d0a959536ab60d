"""A client with a pod's credentials that lies to the proxy; behind it, a server that tells the head that it was sent."""

import os
import socket
import sys
import urllib.parse

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

kind = sys.argv[1]
endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
host = urllib.parse.urlsplit(endpoint).netloc
address = (host.split(":")[0], int(host.split(":")[1]))
credentials = boto3.Session().get_credentials().get_frozen_credentials()


def signed(target, method="GET", headers={}, name=host):
    """The head of a signed request, as pairs."""
    request = AWSRequest(method=method, url=f"http://{name}{target}", headers=headers)
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    return [("Host", name)] + [(key, value) for key, value in request.headers.items() if key.lower() != "host"]


def send(target, head, method="GET", body=b""):
    """Status and body of the answer; nothing is changed on the way."""
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in head] + ["Connection: close", "", ""]
    with socket.create_connection(address, timeout=30) as stream:
        stream.sendall("\r\n".join(lines).encode("latin-1") + body)
        answer = b""
        while block := stream.recv(65536):
            answer += block
    status, _, rest = answer.partition(b"\r\n\r\n")
    return int(status.split(b" ")[1]), rest.decode("latin-1")


def told(text):
    """What the server behind the proxy was sent: the request line, and a dictionary of lists."""
    lines = text.split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, separator, value = line.partition(": ")
        if separator:
            headers.setdefault(name.lower(), []).append(value)
    return lines[0], headers


good = "/photos/public/a%20b%2Bc%27?x-id=GetObject"
status, text = send(good, signed(good))
assert status == 200, (status, text)
line, headers = told(text)
# The server is sent what was signed and decided, to the letter, and who called.
assert line == f"GET {good} HTTP/1.1", line
assert headers["host"] == [host], headers
assert headers["x-irsa-account"] == ["111122223333"], headers
assert headers["x-irsa-principal-arn"] == ["arn:aws:sts::111122223333:assumed-role/app/pod"], headers
assert headers["x-irsa-role-session-name"] == ["pod"], headers
assert headers["x-irsa-subject"] == ["system:serviceaccount:shop:reader"], headers
assert len(headers["x-irsa-request-id"]) == 1, headers
if kind == "nginx":
    assert "authorization" not in headers and "x-amz-security-token" not in headers, headers

# Identities that the client makes up do not arrive, in no spelling.
forged = ["X-Irsa-Account", "x-irsa-principal-arn", "X-IRSA-Pod", "X-Irsa-Subject", "X-Irsa-Role-Session-Name"]
status, text = send(good, signed(good) + [(name, "999999999999") for name in forged + forged])
assert status == 200 and "999999999999" not in text, (status, text)

# Words of the proxy that the client says first: another target, another method, another address.
lies = [
    ("X-Original-URI", good), ("X-Original-Method", "GET"), ("X-Original-Framing", "HTTP/1.1;;"), ("X-Forwarded-Uri", good),
    ("X-Forwarded-Method", "GET"), ("X-Forwarded-Host", host), ("X-Forwarded-For", "10.0.0.1"), ("X-Original-Host", host),
    ("X-Envoy-Original-Path", good), ("X-Envoy-Auth-Partial-Body", "false"), ("X-Rewrite-Url", good),
]
secret = "/photos/private/a"
for method, target in (("GET", secret), ("DELETE", secret)):
    status, text = send(target, signed(target, method) + lies, method)
    assert status == 403 and "<Code>AccessDenied</Code>" in text, (status, text)
    # With the signature of what it may do.
    status, text = send(target, signed(good) + lies, method)
    assert status == 403 and "<Code>SignatureDoesNotMatch</Code>" in text, (status, text)
status, text = send(good, signed(good) + lies)
assert status == 200 and told(text)[0] == f"GET {good} HTTP/1.1", (status, text)

# Words by which a server could take the request for another than the decided one: none arrives, in no spelling, signed or not.
misleading = {
    "Forwarded": "for=10.0.0.1;host=other.example", "X-Envoy-Original-Path": secret, "X-Forwarded-Host": "other.example",
    "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/photos/private", "X-Forwarded-Server": "other.example", "X-Host": "other.example",
    "X-HTTP-Host-Override": "other.example", "X-Original-Host": "other.example", "X-Original-URI": secret, "X-Original-URL": secret,
    "X-Rewrite-URL": secret,
}
seen = {name.lower() for name in misleading}
spelled = [(name, value) for name, value in misleading.items()] + [(name.upper(), value) for name, value in misleading.items()]
# These are the proxies' own: whoever signs them signs what nobody is asked about.
signable = {name: value for name, value in misleading.items() if name not in ("X-Envoy-Original-Path", "X-Original-URI")}
for head in (signed(good) + spelled, signed(good, headers=signable)):
    status, text = send(good, head)
    assert status == 200, (status, text)
    line, headers = told(text)
    assert line == f"GET {good} HTTP/1.1" and not seen & headers.keys(), headers
    assert "other.example" not in text and secret not in text, text
for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
    status, text = send(good, signed(good) + [(name, "DELETE")])
    assert status in (400, 403, 500, 503), (name, status, text)
# The client's address is the proxy's word.
for name in ("X-Forwarded-For", "X-Real-IP"):
    status, text = send(good, signed(good) + [(name, "10.0.0.1")])
    assert status == 200 and "10.0.0.1" not in text, (name, status, text)
    assert told(text)[1]["x-forwarded-for"] == ["127.0.0.1"], text
# A header with underscores is one with hyphens for many a server.
for name in ("x_amz_copy_source", "X-Amz_Copy_Source", "x_irsa_account", "X_HTTP_METHOD_OVERRIDE", "X_Forwarded_Host"):
    status, text = send(good, signed(good) + [(name, secret)])
    assert status in (200, 400) and secret not in text, (name, status, text)
    assert status == (200 if kind == "nginx" else 400), (name, status, text)

# Paths that somebody could read as another: refused, or sent on as they are; never the secret one.
for target in (
    "/photos/public/../private/a", "/photos/public/%2e%2e/private/a", "/photos/public/.%2e/private/a", "//photos/private/a",
    "/photos//private/a", "/photos/public//a", "/photos/public/%2Fa", "/photos/public/..%2fprivate/a", "/photos/public/a%00",
    "/photos/public/..\\private\\a", "/photos/public/a#/../../private/a", "/./photos/public/a", "/photos/public/..", "/_irsa_", "/auth",
):
    for head in (signed(target), signed(good), signed(urllib.parse.urlsplit(target).path)):
        status, text = send(target, head)
        assert status in (400, 403, 404, 500, 503), (target, status, text)

# A whole URL in the request line: the host that is signed is the host that counts.
status, text = send(f"http://{host}{good}", signed(good))
assert status in (200, 400, 403), (status, text)
assert status != 200 or told(text)[0].startswith(f"GET {good} "), text
status, text = send(f"http://photos.other.example{good}", signed(good))
assert status != 200 or told(text)[1]["host"] == [host], text

# A query, a host and a source of a copy that some servers read otherwise.
for target in (
    "/photos/public/a?x-amz-copy-source=%2Fphotos%2Fprivate%2Fa", "/photos/public/a?x-amz-acl=bucket-owner-full-control",
    "/photos/public/a?x-oss-process=a", "/photos/public/a?uploadId=&partNumber=1",
):
    status, text = send(target, signed(target, "PUT"), "PUT")
    assert status in (400, 403) and "<Code>InvalidArgument</Code>" in text, (target, status, text)
for source in ("/photos/public/a?b", "/photos/public/a?versionId=1&x=2", "/photos/public/a+b", "/photos/public/a#b"):
    target = "/photos/public/copied"
    status, text = send(target, signed(target, "PUT", {"x-amz-copy-source": source}), "PUT")
    assert status in (400, 403) and "<Code>InvalidURI</Code>" in text, (source, status, text)
for name in (f"{host}0000", f"{host}:1", f"0{host}", host.split(":")[0] + ":", host.split(":")[0] + ":080"):
    status, text = send(good, [("Host", name)] + signed(good)[1:])
    assert status in (400, 403, 500, 503), (name, status, text)

# Hosts that are nobody's, though their signature is right.
for name in ("secret.127.0.0.1", "secret.s3.amazonaws.com", "localhost"):
    status, text = send(good, signed(good, name=name))
    assert status == 403 and "<Code>AccessDenied</Code>" in text, (name, status, text)
status, text = send(good, signed(good) + [("Host", "other.example")])
assert status in (400, 403, 500, 503), (status, text)

# Headers twice: one was signed, the other is taken by somebody else.
copy = "/photos/public/copy"
source = {"x-amz-copy-source": "/photos/public/a", "x-amz-tagging-directive": "REPLACE"}
status, text = send(copy, signed(copy, "PUT", source), "PUT")
assert status == 200, (status, text)
for second in ("/photos/private/a", "/photos/public/b"):
    head = signed(copy, "PUT", source)
    status, text = send(copy, head + [("x-amz-copy-source", second)], "PUT")
    assert status in (400, 403), (status, text)
    joined = signed(copy, "PUT", source | {"x-amz-copy-source": f"/photos/public/a,{second}"})
    split = [pair for pair in joined if pair[0].lower() != "x-amz-copy-source"]
    split += [("x-amz-copy-source", "/photos/public/a"), ("x-amz-copy-source", second)]
    status, text = send(copy, split, "PUT")
    assert status in (400, 403), (status, text)
for name in ("Authorization", "X-Amz-Date", "X-Amz-Content-SHA256", "X-Amz-Security-Token"):
    head = signed(good)
    value = next(value for key, value in head if key.lower() == name.lower())
    status, text = send(good, head + [(name, value)])
    assert status in (400, 403), (name, status, text)

# An unsigned header that would have been an order, and nobody's request.
status, text = send(copy, signed(copy, "PUT") + [("x-amz-acl", "public-read")], "PUT")
assert status == 403, (status, text)
status, text = send(good, [("Host", host)])
assert status == 403 and "<Code>AccessDenied</Code>" in text, (status, text)
print("ok")
