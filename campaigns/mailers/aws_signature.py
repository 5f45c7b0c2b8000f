"""Amazon's signature of a request (Signature Version 4), for requests without a query."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce


@dataclass(frozen=True)
class AwsKey:
    """An access key, and what it is used for."""

    key_id: str
    secret: str = field(repr=False)
    region: str
    service: str

    def authorization(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """Return the header `Authorization` of a request.

        Parameters
        ----------
        path
            Letters, digits and `-._~/` only.
        headers
            All that are signed, under lower-case names: `host` and `x-amz-date` (UTC, `20150830T123600Z`) among them.

        Source: "Create a signed AWS API request", IAM User Guide, steps 1 to 5.
        """
        names = ";".join(sorted(headers))
        fields = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
        request = "\n".join([method, path, "", fields, names, hashlib.sha256(body).hexdigest()])
        moment = headers["x-amz-date"]
        scope = [moment[:8], self.region, self.service, "aws4_request"]
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), digest])
        signature = reduce(_hmac, [*scope, to_sign], f"AWS4{self.secret}".encode()).hex()
        credential = "/".join([self.key_id, *scope])
        return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
