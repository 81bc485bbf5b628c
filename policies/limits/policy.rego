# Every container says how much it may take.
#
# Parameters, in data.parameters.limits:
#   resources: which limits are required; ["cpu", "memory"]
package starter.limits

import data.lib.spark

default resources := ["cpu", "memory"]

resources := data.parameters.limits.resources

deny contains {"msg": msg, "path": path} if {
	some item in spark.containers
	some resource in resources
	not item.container.resources.limits[resource]
	path := sprintf("%s.resources.limits.%s", [item.path, resource])
	msg := sprintf("container %q has no limit of %s", [item.container.name, resource])
}

# Spark limits memory by itself, and processors only when it is told to.
deny contains {"msg": msg, "path": path} if {
	"cpu" in resources
	some role in spark.roles
	not role.spec.coreLimit
	key := sprintf("spark.kubernetes.%s.limit.cores", [role.name])
	not spark.written_conf[key]
	path := sprintf("%s.coreLimit", [role.path])
	msg := sprintf("the %s has no limit of cpu: set coreLimit", [role.name])
}
