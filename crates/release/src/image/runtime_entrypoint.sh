#!/bin/bash
# The first program of a container: `driver` and `executor` as Spark on Kubernetes starts them, anything else as it is given.
set -e
export SPARK_HOME="${SPARK_HOME:-/opt/spark}"
JAVA="${JAVA_HOME:+$JAVA_HOME/bin/}java"
CLASSPATH_OF_SPARK="$SPARK_HOME/jars/*"
[ -n "$SPARK_CLASSPATH" ] && CLASSPATH_OF_SPARK="$SPARK_CLASSPATH:$CLASSPATH_OF_SPARK"
[ -n "$SPARK_DIST_CLASSPATH" ] && CLASSPATH_OF_SPARK="$CLASSPATH_OF_SPARK:$SPARK_DIST_CLASSPATH"
[ -n "$HADOOP_CONF_DIR" ] && CLASSPATH_OF_SPARK="$HADOOP_CONF_DIR:$CLASSPATH_OF_SPARK"
if [ -n "$SPARK_CONF_DIR" ]; then
  CLASSPATH_OF_SPARK="$SPARK_CONF_DIR:$CLASSPATH_OF_SPARK"
elif [ -d "$SPARK_HOME/conf" ]; then
  CLASSPATH_OF_SPARK="$SPARK_HOME/conf:$CLASSPATH_OF_SPARK"
fi

case "$1" in
  driver)
    shift
    exec "$SPARK_HOME/bin/spark-submit" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
      --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
    ;;
  executor)
    # Options are numbered variables: SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...
    options=()
    while IFS= read -r name; do options+=("${!name}"); done < <(compgen -v | grep -E '^SPARK_JAVA_OPT_[0-9]+$' | sort -t_ -k4 -n)
    exec "$JAVA" "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$CLASSPATH_OF_SPARK" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  *)
    exec "$@"
    ;;
esac
