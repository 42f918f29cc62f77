"""The store behind a lake, as somebody sees it who is not the desk: makes the bucket, reads and writes
an object. Objects go over standard input and output."""

import sys

import boto3

PORT, WHAT = sys.argv[1], sys.argv[2]
BUCKET = "desk"

store = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{PORT}",
    region_name="us-east-1",
    aws_access_key_id="desk",
    aws_secret_access_key="desk",
)
if WHAT == "make":
    store.create_bucket(Bucket=BUCKET)
elif WHAT == "get":
    found = store.list_objects_v2(Bucket=BUCKET, Prefix=sys.argv[3])
    if found.get("KeyCount"):
        body = store.get_object(Bucket=BUCKET, Key=sys.argv[3])["Body"]
        sys.stdout.buffer.write(body.read())
else:
    store.put_object(Bucket=BUCKET, Key=sys.argv[3], Body=sys.stdin.buffer.read())
