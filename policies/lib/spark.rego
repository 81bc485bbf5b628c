# What the policies beside it share: where the parts of applications and pods are.
package lib.spark

# The specification of an application: a schedule has it in its template.
application := {"spec": input.spec, "path": "spec"} if input.kind == "SparkApplication"

application := {"spec": input.spec.template, "path": "spec.template"} if input.kind == "ScheduledSparkApplication"

# Driver and executor of an application, each with its path.
roles contains {"name": name, "spec": part, "path": sprintf("%s.%s", [application.path, name])} if {
	some name in ["driver", "executor"]
	part := object.get(application.spec, name, {})
}

# Configuration of Spark and of Hadoop, as it is written in an application.
written_conf[key] := value if some key, value in application.spec.sparkConf

written_conf[key] := value if {
	some name, value in application.spec.hadoopConf
	key := concat("", ["spark.hadoop.", name])
}

# Configuration to judge: effective configuration if that is the subject, else what is written.
conf := input.conf if input.kind == "SparkConf"

conf := written_conf if application

# Where a key of that configuration is written.
conf_path(key) := sprintf("conf[%q]", [key]) if input.kind == "SparkConf"

conf_path(key) := sprintf("%s.sparkConf[%q]", [application.path, key]) if application.spec.sparkConf[key]

conf_path(key) := sprintf("%s.hadoopConf[%q]", [application.path, name]) if {
	name := trim_prefix(key, "spark.hadoop.")
	application.spec.hadoopConf[name]
	not application.spec.sparkConf[key]
}

# Containers of a pod, and those written beside driver and executor.
containers contains {"container": container, "path": sprintf("spec.%s[%d]", [list, index])} if {
	input.kind == "Pod"
	some list in ["initContainers", "containers", "ephemeralContainers"]
	some index, container in input.spec[list]
}

containers contains {"container": container, "path": sprintf("%s.%s[%d]", [role.path, list, index])} if {
	some role in roles
	some list in ["initContainers", "sidecars"]
	some index, container in role.spec[list]
}

# Images, each with its path.
images contains {"image": item.container.image, "path": sprintf("%s.image", [item.path])} if some item in containers

images contains {"image": application.spec.image, "path": sprintf("%s.image", [application.path])} if application.spec.image

images contains {"image": role.spec.image, "path": sprintf("%s.image", [role.path])} if {
	some role in roles
	role.spec.image
}

images contains {"image": image, "path": conf_path(key)} if {
	input.kind == "SparkConf"
	some key, image in input.conf
	regex.match(`^spark\.kubernetes\.(driver\.|executor\.)?container\.image$`, key)
}
