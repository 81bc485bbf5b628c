"""A shadow as boto3 meets it: `seed` and `after` are the owner's, `shadow` signs with the shadow's key."""

import sys

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
B = "spark"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, (found, arguments)
        return error
    raise AssertionError(f"not refused: {arguments}")


def keys(prefix, **more):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=B, Prefix=prefix, **more)
    return [o["Key"] for page in pages for o in page.get("Contents", [])]


def read(key):
    return s3.get_object(Bucket=B, Key=key)["Body"].read()


def seed():
    for key in ["in/a", "in/b", "in/changes", "out/old", "out/older", "secret/x"]:
        s3.put_object(Bucket=B, Key=key, Body=key.encode())


def shadow():
    # Reads go through to what was pinned, and only there.
    assert read("in/a") == b"in/a" and read("out/old") == b"out/old"
    refused("AccessDenied", s3.get_object, Bucket=B, Key="secret/x")
    refused("404", s3.head_object, Bucket=B, Key="secret/x")
    refused("NoSuchKey", s3.get_object, Bucket=B, Key="in/later")
    assert keys("") == ["in/a", "in/b", "in/changes", "out/old", "out/older"], keys("")
    assert keys("secret/") == []
    refused("AccessDenied", s3.list_objects_v2, Bucket="stoke-shadow")
    refused("AccessDenied", s3.list_buckets)
    refused("AccessDenied", s3.create_bucket, Bucket="mine")
    assert "PreconditionFailed" in str(refused("PreconditionFailed", s3.get_object, Bucket=B, Key="in/changes"))
    s3.head_bucket(Bucket=B)

    # Writes are kept apart, and read back by who wrote them.
    s3.put_object(Bucket=B, Key="out/new", Body=b"new")
    s3.put_object(Bucket=B, Key="out/old", Body=b"replaced")
    s3.delete_object(Bucket=B, Key="out/older")
    assert read("out/new") == b"new" and read("out/old") == b"replaced"
    refused("NoSuchKey", s3.get_object, Bucket=B, Key="out/older")
    assert keys("out/") == ["out/new", "out/old"], keys("out/")
    top = s3.list_objects_v2(Bucket=B, Delimiter="/")
    assert [p["Prefix"] for p in top["CommonPrefixes"]] == ["in/", "out/"], top
    for key in ["in/a", "secret/x", "elsewhere/y", "out2/z"]:
        refused("AccessDenied", s3.put_object, Bucket=B, Key=key, Body=b"bad")
        refused("AccessDenied", s3.delete_object, Bucket=B, Key=key)
    refused("PreconditionFailed", s3.put_object, Bucket=B, Key="out/old", Body=b"x", IfNoneMatch="*")

    # Copies, as renames are: from a pinned object and from an own one.
    s3.copy_object(Bucket=B, Key="out/copied", CopySource=f"{B}/in/b")
    s3.copy_object(Bucket=B, Key="out/moved", CopySource=f"{B}/out/new")
    assert read("out/copied") == b"in/b" and read("out/moved") == b"new"
    refused("AccessDenied", s3.copy_object, Bucket=B, Key="out/x", CopySource=f"{B}/secret/x")
    refused("AccessDenied", s3.copy_object, Bucket=B, Key="in/x", CopySource=f"{B}/in/a")

    # Uploads in parts.
    part = b"p" * (5 << 20)
    upload = s3.create_multipart_upload(Bucket=B, Key="out/large")
    assert (upload["Bucket"], upload["Key"]) == (B, "out/large")
    named = dict(Bucket=B, Key="out/large", UploadId=upload["UploadId"])
    parts = [s3.upload_part(**named, PartNumber=1, Body=part), s3.upload_part(**named, PartNumber=2, Body=b"end")]
    listed = s3.list_multipart_uploads(Bucket=B, Prefix="out/")
    assert [u["Key"] for u in listed["Uploads"]] == ["out/large"], listed
    assert len(s3.list_parts(**named)["Parts"]) == 2
    done = s3.complete_multipart_upload(
        **named,
        MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": p["ETag"]} for n, p in enumerate(parts)]},
    )
    assert done["Key"] == "out/large" and len(read("out/large")) == len(part) + 3
    refused("AccessDenied", s3.create_multipart_upload, Bucket=B, Key="in/large")

    # Many at once: each has its own answer.
    answer = s3.delete_objects(
        Bucket=B, Delete={"Objects": [{"Key": k} for k in ["out/moved", "out/old", "secret/x", "out/"]]}
    )
    assert sorted(d["Key"] for d in answer["Deleted"]) == ["out/", "out/moved", "out/old"], answer
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("secret/x", "AccessDenied")], answer
    assert keys("out/") == ["out/copied", "out/large", "out/new"], keys("out/")
    assert keys("out/", PaginationConfig={"PageSize": 1}) == ["out/copied", "out/large", "out/new"]


def after():
    # Nothing of it is to be seen.
    expected = ["in/a", "in/b", "in/changes", "in/later", "out/old", "out/older", "secret/x"]
    assert keys("") == expected, keys("")
    assert read("out/old") == b"out/old"


globals()[sys.argv[1]]()
print(sys.argv[1], "checked")
