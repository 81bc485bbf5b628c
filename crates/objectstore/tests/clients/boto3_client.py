"""boto3 as users have it: no setting but the endpoint, which comes from the environment."""
import concurrent.futures, datetime, hashlib, io, os, sys, tempfile, threading, urllib.error, urllib.parse, urllib.request

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
bucket = "boto3-client"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"expected {code}, found {found}: {error}"
        return error.response
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def body(key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


# Buckets
refused("404", s3.head_bucket, Bucket=bucket)
refused("NoSuchBucket", s3.list_objects_v2, Bucket=bucket)
refused("NoSuchBucket", s3.put_object, Bucket=bucket, Key="k", Body=b"x")
s3.create_bucket(Bucket=bucket)
refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=bucket)
refused("InvalidBucketName", boto3.client("s3", config=Config(parameter_validation=False)).create_bucket, Bucket="Not_A_Bucket")
assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
assert {"spark", bucket} <= {b["Name"] for b in s3.list_buckets()["Buckets"]}
assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
refused("NotImplemented", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
refused("NotImplemented", s3.put_object, Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
refused("NotImplemented", s3.put_object, Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
refused("InvalidStorageClass", s3.put_object, Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
s3.create_bucket(Bucket="elsewhere-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
assert s3.get_bucket_location(Bucket="elsewhere-bucket")["LocationConstraint"] == "eu-west-1"
s3.delete_bucket(Bucket="elsewhere-bucket")

# Put, get, head
put = s3.put_object(
    Bucket=bucket, Key="plain", Body=b"hello", ContentType="text/plain", CacheControl="no-cache",
    ContentDisposition="inline", ContentLanguage="en", Metadata={"colour": "blue", "n": "1"},
    Expires=datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc))
assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"' and put["ChecksumCRC32"]
got = s3.get_object(Bucket=bucket, Key="plain", ChecksumMode="ENABLED")
assert got["Body"].read() == b"hello" and got["ContentType"] == "text/plain" and got["Metadata"] == {"colour": "blue", "n": "1"}
assert got["ChecksumCRC32"] == put["ChecksumCRC32"] and got["CacheControl"] == "no-cache" and got["ContentLanguage"] == "en"
assert got["Expires"].year == 2030 and got["ContentDisposition"] == "inline"
head = s3.head_object(Bucket=bucket, Key="plain")
assert head["ContentLength"] == 5 and head["ETag"] == put["ETag"] and head["AcceptRanges"] == "bytes"
refused("404", s3.head_object, Bucket=bucket, Key="missing")
refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="missing")
s3.put_object(Bucket=bucket, Key="empty", Body=b"")
assert body("empty") == b"" and s3.head_object(Bucket=bucket, Key="empty")["ContentLength"] == 0
assert s3.get_object(Bucket=bucket, Key="plain", ResponseContentType="a/b")["ContentType"] == "a/b"
refused("MetadataTooLarge", s3.put_object, Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2100})

# Every checksum, and a wrong one
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket=bucket, Key="sum", Body=b"abc" * 10_000, ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] and head["ChecksumType"] == "FULL_OBJECT"
    assert body("sum") == b"abc" * 10_000
refused("BadDigest", s3.put_object, Bucket=bucket, Key="bad", Body=b"x", ChecksumCRC32="AAAAAA==")
refused("BadDigest", s3.put_object, Bucket=bucket, Key="bad", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
refused("InvalidDigest", s3.put_object, Bucket=bucket, Key="bad", Body=b"x", ContentMD5="short")
refused("404", s3.head_object, Bucket=bucket, Key="bad")
attributes = s3.get_object_attributes(Bucket=bucket, Key="sum", ObjectAttributes=["ETag", "ObjectSize", "Checksum", "StorageClass"])
assert attributes["ObjectSize"] == 30_000 and attributes["Checksum"]["ChecksumSHA256"] and attributes["StorageClass"] == "STANDARD"

# Ranges
assert body("plain", Range="bytes=1-3") == b"ell"
assert body("plain", Range="bytes=2-") == b"llo"
assert body("plain", Range="bytes=-2") == b"lo"
assert body("plain", Range="bytes=-100") == b"hello"
partial = s3.get_object(Bucket=bucket, Key="plain", Range="bytes=1-100")
assert partial["ContentRange"] == "bytes 1-4/5" and partial["ResponseMetadata"]["HTTPStatusCode"] == 206
refused("InvalidRange", s3.get_object, Bucket=bucket, Key="plain", Range="bytes=5-")
refused("InvalidRange", s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-")

# Conditional reads and writes
etag = put["ETag"]
assert body("plain", IfMatch=etag) == b"hello"
refused("PreconditionFailed", s3.get_object, Bucket=bucket, Key="plain", IfMatch='"0"')
answer = refused("304", s3.get_object, Bucket=bucket, Key="plain", IfNoneMatch=etag)
assert answer["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
refused("304", s3.get_object, Bucket=bucket, Key="plain", IfModifiedSince=future)
refused("412", s3.head_object, Bucket=bucket, Key="plain", IfUnmodifiedSince=datetime.datetime(2001, 1, 1))
refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="plain", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="once", Body=b"2", IfMatch='"0"')
refused("NoSuchKey", s3.put_object, Bucket=bucket, Key="never", Body=b"2", IfMatch=etag)
first = s3.head_object(Bucket=bucket, Key="once")["ETag"]
s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfMatch=first)
assert body("once") == b"2"


def race(n):
    try:
        s3.put_object(Bucket=bucket, Key="race", Body=str(n).encode(), IfNoneMatch="*")
        return n
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed"


with concurrent.futures.ThreadPoolExecutor(16) as pool:
    winners = [n for n in pool.map(race, range(32)) if n is not None]
assert len(winners) == 1 and body("race") == str(winners[0]).encode()

# Keys of every kind, side by side
keys = ["a", "a/", "a/b", "a//b", "/lead", "../up", "a/../b", ".", "ä ö+%?&=#;@!", "\U0001f600", "x" * 1024, "a\\b", "tab\there", "d" * 200 + "/" + "e" * 300]
for key in keys:
    s3.put_object(Bucket=bucket, Key="keys/" + key if len(key) < 1000 else key, Body=key.encode())
for key in keys:
    assert body("keys/" + key if len(key) < 1000 else key) == key.encode(), key
listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="keys/")["Contents"]]
assert listed == sorted(("keys/" + k for k in keys if len(k) < 1000), key=lambda k: k.encode()), listed
refused("KeyTooLongError", s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"")

# Listing
s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "keys/" + k} for k in keys if len(k) < 1000] + [{"Key": "x" * 1024}, {"Key": "not there"}]})
assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="keys/")
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"list/{n // 10:03}/{n:04}", Body=b"."), range(250)))
pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/", PaginationConfig={"PageSize": 7}))
assert [o["Key"] for p in pages for o in p["Contents"]] == [f"list/{n // 10:03}/{n:04}" for n in range(250)]
for version in ["list_objects", "list_objects_v2", "list_object_versions"]:
    pages = list(s3.get_paginator(version).paginate(Bucket=bucket, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 3}))
    assert [c["Prefix"] for p in pages for c in p.get("CommonPrefixes", [])] == [f"list/{n:03}/" for n in range(25)], version
assert s3.list_objects_v2(Bucket=bucket, Prefix="list/", StartAfter="list/024/0248")["KeyCount"] == 1
assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
assert [o["Key"] for p in s3.get_paginator("list_objects").paginate(Bucket=bucket, Prefix="list/", PaginationConfig={"PageSize": 100}) for o in p["Contents"]][-1] == "list/024/0249"
refused("InvalidArgument", s3.list_objects_v2, Bucket=bucket, ContinuationToken="nonsense!")

# Copies
s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "plain"})
head = s3.head_object(Bucket=bucket, Key="copy")
assert head["Metadata"] == {"colour": "blue", "n": "1"} and body("copy") == b"hello"
s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "copy"}, MetadataDirective="REPLACE", Metadata={"new": "1"}, ContentType="x/y")
head = s3.head_object(Bucket=bucket, Key="copy")
assert head["Metadata"] == {"new": "1"} and head["ContentType"] == "x/y" and body("copy") == b"hello"
refused("InvalidRequest", s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "copy"})
refused("NoSuchKey", s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "missing"})
refused("PreconditionFailed", s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "plain"}, CopySourceIfMatch='"0"')
s3.copy_object(Bucket=bucket, Key="ä copy", CopySource={"Bucket": bucket, "Key": "plain"}, ChecksumAlgorithm="SHA256")
assert s3.head_object(Bucket=bucket, Key="ä copy", ChecksumMode="ENABLED")["ChecksumSHA256"]
s3.delete_object(Bucket=bucket, Key="plain")
assert body("copy") == b"hello" and body("ä copy") == b"hello"

# Tags
s3.put_object(Bucket=bucket, Key="tagged", Body=b"", Tagging="a=1&b=two%20words")
tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"]}
assert tags == {"a": "1", "b": "two words"} and s3.get_object(Bucket=bucket, Key="tagged")["TagCount"] == 2
s3.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == [{"Key": "c", "Value": "3"}]
s3.delete_object_tagging(Bucket=bucket, Key="tagged")
assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == []
refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "x"}]

# Multipart: the transfer manager with 21 MiB, then by hand
blob = os.urandom(21 << 20)
with tempfile.NamedTemporaryFile() as file:
    file.write(blob)
    file.flush()
    s3.upload_file(file.name, bucket, "big")
head = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
assert head["ContentLength"] == len(blob) and head["ETag"].endswith('-3"') and head["ChecksumType"] == "COMPOSITE", head
back = io.BytesIO()
s3.download_fileobj(bucket, "big", back)
assert back.getvalue() == blob
assert body("big", Range="bytes=8388000-16778000") == blob[8388000:16778001]
assert body("big", PartNumber=3) == blob[16 << 20:] and s3.head_object(Bucket=bucket, Key="big", PartNumber=1)["PartsCount"] == 3
refused("InvalidPartNumber", s3.get_object, Bucket=bucket, Key="big", PartNumber=4)
parts = s3.get_object_attributes(Bucket=bucket, Key="big", ObjectAttributes=["ObjectParts"])["ObjectParts"]
assert parts["TotalPartsCount"] == 3 and [p["Size"] for p in parts["Parts"]] == [8 << 20, 8 << 20, 5 << 20]
for kind in [{"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="sums", **kind)["UploadId"]
    done = []
    for number in (1, 2):
        chunk = blob[(number - 1) * (6 << 20):number * (6 << 20)]
        answer = s3.upload_part(Bucket=bucket, Key="sums", UploadId=upload, PartNumber=number, Body=chunk, ChecksumAlgorithm=kind["ChecksumAlgorithm"])
        name = f"Checksum{kind['ChecksumAlgorithm']}"
        done.append({"PartNumber": number, "ETag": answer["ETag"], name: answer[name]})
    s3.complete_multipart_upload(Bucket=bucket, Key="sums", UploadId=upload, MultipartUpload={"Parts": done}, **({"ChecksumType": kind["ChecksumType"]} if "ChecksumType" in kind else {}))
    assert body("sums", ChecksumMode="ENABLED") == blob[:12 << 20]
upload = s3.create_multipart_upload(Bucket=bucket, Key="hand", Metadata={"k": "v"})["UploadId"]
part = s3.upload_part(Bucket=bucket, Key="hand", UploadId=upload, PartNumber=2, Body=b"end")
copied = s3.upload_part_copy(Bucket=bucket, Key="hand", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "big"}, CopySourceRange=f"bytes=100-{(6 << 20) + 99}")
assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["hand"]
assert [p["PartNumber"] for p in s3.list_parts(Bucket=bucket, Key="hand", UploadId=upload, MaxParts=1)["Parts"]] == [1]
names = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}, {"PartNumber": 2, "ETag": part["ETag"]}]
complete = lambda parts, **more: s3.complete_multipart_upload(Bucket=bucket, Key="hand", UploadId=upload, MultipartUpload={"Parts": parts}, **more)
complete.__name__ = "complete"
refused("InvalidPartOrder", complete, parts=names[::-1])
refused("InvalidPart", complete, parts=[names[0], {"PartNumber": 2, "ETag": '"0"'}])
complete(names, IfNoneMatch="*")
assert body("hand") == blob[100:(6 << 20) + 100] + b"end" and s3.head_object(Bucket=bucket, Key="hand")["Metadata"] == {"k": "v"}
complete(names)  # sent twice, as by a client that lost the answer
upload = s3.create_multipart_upload(Bucket=bucket, Key="hand")["UploadId"]
small = [{"PartNumber": n, "ETag": s3.upload_part(Bucket=bucket, Key="hand", UploadId=upload, PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)]
refused("EntityTooSmall", complete, parts=small)
s3.abort_multipart_upload(Bucket=bucket, Key="hand", UploadId=upload)
refused("NoSuchUpload", s3.upload_part, Bucket=bucket, Key="hand", UploadId=upload, PartNumber=1, Body=b"x")
s3.delete_object(Bucket=bucket, Key="big")
assert body("hand")[:10] == blob[100:110], "a part that was copied outlives its source"

# Presigned
def fetch(url, data=None, method="GET"):
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


v4 = boto3.client("s3", config=Config(signature_version="s3v4"))
assert fetch(v4.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "pre signed"}), b"sent", "PUT")[0] == 200
url = v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "pre signed"}, ExpiresIn=1)
assert fetch(url) == (200, b"sent")
assert fetch(url.replace("pre%20signed", "hand"))[0] == 403
import time
time.sleep(2.1)
status, text = fetch(url)
assert status == 403 and b"expired" in text, text

# Streams without a length known beforehand, as chunks with a trailer
class Stream(io.RawIOBase):
    def __init__(self, data): self.data = io.BytesIO(data)
    def readable(self): return True
    def read(self, n=-1): return self.data.read(n)
s3.upload_fileobj(Stream(blob[:9 << 20]), bucket, "streamed")
assert body("streamed") == blob[:9 << 20]

# Nobody but who has the keys
endpoint = os.environ["AWS_ENDPOINT_URL"]
assert fetch(endpoint)[0] == 403 and fetch(f"{endpoint}/{bucket}/hand")[0] == 403
def as_(key, secret):
    return boto3.client("s3", aws_access_key_id=key, aws_secret_access_key=secret)
refused("SignatureDoesNotMatch", as_(os.environ["AWS_ACCESS_KEY_ID"], "wrong").get_object, Bucket=bucket, Key="hand")
refused("InvalidAccessKeyId", as_("STOKEUNKNOWN", "wrong").list_objects_v2, Bucket=bucket)
refused("SignatureDoesNotMatch", as_(os.environ["AWS_ACCESS_KEY_ID"], "wrong").put_object, Bucket=bucket, Key="no", Body=blob[:100_000])
import unittest.mock
late = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(minutes=30)
with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=late, create=True):
    refused("RequestTimeTooSkewed", s3.list_objects_v2, Bucket=bucket)

# Whole or not at all: readers beside writers of the same key see one of them
stop = threading.Event()
def write(letter):
    while not stop.is_set():
        s3.put_object(Bucket=bucket, Key="busy", Body=letter * 300_000)
s3.put_object(Bucket=bucket, Key="busy", Body=b"a" * 300_000)
with concurrent.futures.ThreadPoolExecutor(3) as pool:
    for letter in (b"a", b"b", b"c"):
        pool.submit(write, letter)
    try:
        for _ in range(60):
            data = body("busy")
            assert len(data) == 300_000 and len(set(data)) == 1
    finally:
        stop.set()

# Deleting
refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
s3.delete_object(Bucket=bucket, Key="never there")
refused("PreconditionFailed", s3.delete_object, Bucket=bucket, Key="hand", IfMatch='"0"')
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]], "Quiet": True})
    assert "Errors" not in answer and "Deleted" not in answer
s3.delete_bucket(Bucket=bucket)
refused("404", s3.head_bucket, Bucket=bucket)
print("boto3", boto3.__version__)
