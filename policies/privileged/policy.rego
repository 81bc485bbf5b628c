# No container has more of its host than its own.
package starter.privileged

import data.lib.spark

deny contains {"msg": msg, "path": path} if {
	some item in spark.containers
	item.container.securityContext.privileged == true
	path := sprintf("%s.securityContext.privileged", [item.path])
	msg := sprintf("container %q is privileged", [item.container.name])
}

deny contains {"msg": msg, "path": path} if {
	some role in spark.roles
	role.spec.securityContext.privileged == true
	path := sprintf("%s.securityContext.privileged", [role.path])
	msg := sprintf("the %s is privileged", [role.name])
}

deny contains {"msg": msg, "path": path} if {
	some item in spark.containers
	item.container.securityContext.allowPrivilegeEscalation == true
	path := sprintf("%s.securityContext.allowPrivilegeEscalation", [item.path])
	msg := sprintf("container %q may gain privileges", [item.container.name])
}

deny contains {"msg": msg, "path": path} if {
	input.kind == "Pod"
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	input.spec[field] == true
	path := sprintf("spec.%s", [field])
	msg := sprintf("the pod shares its host's: %s is true", [field])
}

deny contains {"msg": msg, "path": path} if {
	some role in spark.roles
	role.spec.hostNetwork == true
	path := sprintf("%s.hostNetwork", [role.path])
	msg := sprintf("the %s shares its host's network", [role.name])
}
