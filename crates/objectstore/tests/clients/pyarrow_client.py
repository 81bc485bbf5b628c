"""pyarrow's own S3 client (the AWS C++ SDK): file system calls, datasets, partitions, small and large files."""
import os

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

address = os.environ["AWS_ENDPOINT_URL"]
s3 = fs.S3FileSystem(endpoint_override=address.removeprefix("http://"), scheme="http", region=os.environ["AWS_REGION"], allow_bucket_creation=True, allow_bucket_deletion=True)
s3.create_dir("arrow-client")
assert s3.get_file_info("arrow-client/none").type == fs.FileType.NotFound

# Files and directories
with s3.open_output_stream("arrow-client/dir/file.txt") as out:
    out.write(b"hello")
assert s3.get_file_info("arrow-client/dir").type == fs.FileType.Directory
info = s3.get_file_info("arrow-client/dir/file.txt")
assert info.type == fs.FileType.File and info.size == 5
with s3.open_input_file("arrow-client/dir/file.txt") as file:
    assert file.read_at(3, 1) == b"ell" and file.read() == b"hello"
s3.create_dir("arrow-client/empty/deep", recursive=True)
assert s3.get_file_info("arrow-client/empty/deep").type == fs.FileType.Directory
found = {i.path for i in s3.get_file_info(fs.FileSelector("arrow-client", recursive=True))}
assert {"arrow-client/dir", "arrow-client/dir/file.txt", "arrow-client/empty", "arrow-client/empty/deep"} <= found, found
s3.copy_file("arrow-client/dir/file.txt", "arrow-client/dir/copy.txt")
s3.move("arrow-client/dir/copy.txt", "arrow-client/dir/moved.txt")
assert s3.get_file_info("arrow-client/dir/copy.txt").type == fs.FileType.NotFound
s3.delete_dir("arrow-client/dir")
assert s3.get_file_info("arrow-client/dir").type == fs.FileType.NotFound

# A file beyond one part
big = os.urandom(23 << 20)
with s3.open_output_stream("arrow-client/big.bin") as out:
    for at in range(0, len(big), 1 << 20):
        out.write(big[at:at + (1 << 20)])
with s3.open_input_file("arrow-client/big.bin") as file:
    assert file.size() == len(big) and file.read() == big

# A partitioned dataset, read back with a filter
table = pa.table({"n": list(range(10_000)), "city": [["Berlin", "São Paulo", "a b"][n % 3] for n in range(10_000)]})
ds.write_dataset(table, "arrow-client/data", format="parquet", filesystem=s3, partitioning=ds.partitioning(pa.schema([("city", pa.string())]), flavor="hive"), max_rows_per_file=1000, max_rows_per_group=1000)
data = ds.dataset("arrow-client/data", filesystem=s3, partitioning="hive")
assert data.count_rows() == 10_000
assert data.to_table(filter=ds.field("city") == "São Paulo").num_rows == 3333
assert sorted(data.to_table()["n"].to_pylist()) == list(range(10_000))
ds.write_dataset(table.slice(0, 10), "arrow-client/data", format="parquet", filesystem=s3, existing_data_behavior="delete_matching", partitioning=ds.partitioning(pa.schema([("city", pa.string())]), flavor="hive"))
assert ds.dataset("arrow-client/data", filesystem=s3, partitioning="hive").count_rows() == 10
pq.write_table(table, "arrow-client/one.parquet", filesystem=s3)
assert pq.read_table("arrow-client/one.parquet", filesystem=s3, columns=["n"]).num_rows == 10_000
s3.delete_dir("arrow-client")
print("pyarrow", pa.__version__)
