"""Signs requests as botocore does: a JSON document a line in, the headers of the signed request a line out."""

import datetime
import json
import sys
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def frozen(millis):
    moment = datetime.datetime.fromtimestamp(millis / 1000, datetime.timezone.utc).replace(tzinfo=None)

    class Frozen(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return moment

        @classmethod
        def now(cls, tz=None):
            return moment.replace(tzinfo=tz)

    return SimpleNamespace(datetime=Frozen)


def sign(asked):
    botocore.auth.datetime = frozen(asked["at"])
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = botocore.auth.datetime.datetime.utcnow
    parts = urlsplit(asked["url"])
    request = AWSRequest(
        method=asked["method"],
        url=f"{parts.scheme}://{parts.netloc}{parts.path}",
        headers=asked["headers"],
        data=asked["body"].encode("latin1"),
        params=parse_qsl(parts.query, keep_blank_values=True),
    )
    request.context["client_config"] = SimpleNamespace(s3={"payload_signing_enabled": asked["signBody"]})
    credentials = Credentials("ASIAEXAMPLEEXAMPLE00", "secret/of+the=example", "token/of+the=example")
    if "expires" in asked:
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", asked["region"], asked["expires"]).add_auth(request)
        return {"url": request.url}
    s3 = asked["service"] == "s3"
    kind = botocore.auth.S3SigV4Auth if s3 else botocore.auth.SigV4Auth
    kind(credentials, asked["service"], asked["region"]).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


for line in sys.stdin:
    try:
        answer = sign(json.loads(line))
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
