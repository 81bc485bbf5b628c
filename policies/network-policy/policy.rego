# An application runs only where a NetworkPolicy selects its pods.
#
# NetworkPolicies are looked for in data.stoke.objects: objects given together with the application, and what its namespace has in the cluster.
# Where no one looked, nothing is known, and the application is denied.
package starter.network_policy

import data.lib.spark

namespace := object.get(input.metadata, "namespace", "default")

selecting contains object.metadata.name if {
	some object in data.stoke.objects
	object.kind == "NetworkPolicy"
	object_namespace(object) == namespace
	selects(object.spec.podSelector)
}

object_namespace(object) := name if name := object.metadata.namespace

else := "default"

# Every pod, or pods of Spark: drivers and executors have no other labels that are known beforehand.
selects(selector) if selector == {}

selects(selector) if {
	count(object.get(selector, "matchExpressions", [])) == 0
	labels := object.get(selector, "matchLabels", {})
	count(labels) > 0
	every key, value in labels {
		pod_labels[key] == value
	}
}

pod_labels := object.union_n([
	object.get(data.stoke, ["pods", "driver", "metadata", "labels"], {}),
	{"sparkoperator.k8s.io/launched-by-spark-operator": "true", "sparkoperator.k8s.io/app-name": input.metadata.name},
	object.get(spark.application.spec, ["driver", "labels"], {}),
])

deny contains msg if {
	spark.application
	data.stoke.objects
	count(selecting) == 0
	msg := sprintf("no NetworkPolicy in the namespace %q selects the pods of the application", [namespace])
}

deny contains msg if {
	spark.application
	not data.stoke.objects
	msg := sprintf("the NetworkPolicies of the namespace %q are not known: give them together with the application, or ask the cluster", [namespace])
}
