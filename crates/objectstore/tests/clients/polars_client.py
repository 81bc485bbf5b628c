"""polars through its Rust object_store: no setting but the environment, and that the endpoint is plain HTTP."""
import os

import polars as pl

options = {"aws_allow_http": "true"}
frame = pl.DataFrame({"n": range(50_000), "word": [f"w{n % 97}" for n in range(50_000)]})
frame.write_parquet("s3://spark/polars/one.parquet", storage_options=options)
assert pl.read_parquet("s3://spark/polars/one.parquet", storage_options=options).equals(frame)
lazy = pl.scan_parquet("s3://spark/polars/one.parquet", storage_options=options)
assert lazy.filter(pl.col("word") == "w5").select(pl.len()).collect().item() == len(frame.filter(pl.col("word") == "w5"))
# Smaller than the footer a reader asks for, and a glob over several
for n in range(3):
    frame.slice(n, 1).write_parquet(f"s3://spark/polars/small/{n}.parquet", storage_options=options)
assert pl.scan_parquet("s3://spark/polars/small/*.parquet", storage_options=options).collect().sort("n")["n"].to_list() == [0, 1, 2]
# Streamed out in parts
lazy.sink_parquet("s3://spark/polars/sunk.parquet", storage_options=options)
assert pl.scan_parquet("s3://spark/polars/sunk.parquet", storage_options=options).collect().equals(frame)
frame.write_csv("s3://spark/polars/one.csv", storage_options=options)
assert pl.scan_csv("s3://spark/polars/one.csv", storage_options=options).select(pl.len()).collect().item() == 50_000
print("polars", pl.__version__)
