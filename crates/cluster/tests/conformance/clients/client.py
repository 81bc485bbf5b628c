"""Python's client as people use it: objects, patches of each kind, a watch, jobs of others, errors."""

import sys
import threading

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

config.load_kube_config(sys.argv[1])
namespace = sys.argv[2]
core, apps, access = client.CoreV1Api(), client.AppsV1Api(), client.AuthorizationV1Api()


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except ApiException as error:
        expect("status", error.status, code)
        return error.body
    sys.exit(f"{call} was not refused")


seen = []


def look():
    stream = watch.Watch().stream(core.list_namespaced_config_map, namespace, label_selector="a=b", timeout_seconds=20)
    for event in stream:
        seen.append((event["type"], event["object"].data["k"]))
        if event["type"] == "DELETED":
            return


watcher = threading.Thread(target=look)
watcher.start()
made = core.create_namespaced_config_map(
    namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="m", labels={"a": "b"}), data={"k": "1"})
)
refused(409, core.create_namespaced_config_map, namespace, made.__class__(metadata=client.V1ObjectMeta(name="m")))
core.patch_namespaced_config_map("m", namespace, {"data": {"k": "2"}})
core.patch_namespaced_config_map("m", namespace, [{"op": "replace", "path": "/data/k", "value": "3"}])
expect("patched", core.read_namespaced_config_map("m", namespace).data, {"k": "3"})
stale = made
stale.data = {"k": "9"}
refused(409, core.replace_namespaced_config_map, "m", namespace, stale)
core.delete_namespaced_config_map("m", namespace)
watcher.join()
expect("watched", seen, [("ADDED", "1"), ("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")])
refused(404, core.read_namespaced_config_map, "m", namespace)
if "is invalid" not in refused(422, core.create_namespaced_config_map, namespace, {"metadata": {"name": "Wrong_Name"}}):
    sys.exit("no words")

secret = core.create_namespaced_secret(namespace, client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"p": "x"}))
expect("secret", secret.data, {"p": "eA=="})

template = {"metadata": {"labels": {"app": "d"}}, "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "shell"}]}}
deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
              "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "d"}}, "template": template}}
utils.create_from_dict(client.ApiClient(), deployment, namespace=namespace)
apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 1}})
expect("scale", apps.read_namespaced_deployment_scale("d", namespace).spec.replicas, 1)

review = access.create_self_subject_access_review(
    {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": namespace}}}
)
expect("allowed", review.status.allowed, True)

resources = dynamic.DynamicClient(client.ApiClient()).resources
applications = resources.get(api_version="sparkoperator.k8s.io/v1beta2", kind="SparkApplication")
expect("custom", applications.get(namespace=namespace).items, [])
maps = resources.get(api_version="v1", kind="ConfigMap")
applied = maps.server_side_apply(
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": {"k": "1"}},
    namespace=namespace, field_manager="python",
)
expect("manager", applied.metadata.managedFields[0].manager, "python")
expect("version", client.VersionApi().get_code().major, "1")
print("ok")
