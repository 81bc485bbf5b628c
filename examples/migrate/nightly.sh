#!/bin/bash
# The way a job often begins: a script that a scheduler calls.
set -euo pipefail
export IMAGE=apache/spark:4.1.4

exec spark-submit \
  --master "k8s://https://$API_SERVER" --deploy-mode cluster \
  --name nightly-pi \
  --conf spark.kubernetes.container.image="$IMAGE" \
  --conf spark.executor.instances=1 \
  --conf spark.kubernetes.driver.request.cores=250m \
  --conf spark.kubernetes.executor.request.cores=500m \
  local:///opt/spark/examples/src/main/python/pi.py "$PARTITIONS"
