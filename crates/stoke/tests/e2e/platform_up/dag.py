from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator
from airflow.sdk import DAG

with DAG("orders", schedule=None, catchup=False, is_paused_upon_creation=False):
    SparkKubernetesOperator(
        task_id="read",
        namespace="lakehouse",
        application_file="orders.yaml",
        kubernetes_conn_id="kubernetes_default",
        get_logs=True,
    )
