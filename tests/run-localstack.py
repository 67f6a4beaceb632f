"""LocalStack as the tests run it.

Its request parser takes a CBOR timestamp for a whole number; the AWS SDK for Rust sends doubles, as the protocol allows and
CloudWatch accepts.
"""

import datetime

from localstack.aws.protocol.parser import RequestParser
from localstack.runtime.main import main


def timestamp(text: str) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(float(text), tz=datetime.timezone.utc)


RequestParser._timestamp_unixtimestamp = staticmethod(timestamp)

if __name__ == "__main__":
    main()
