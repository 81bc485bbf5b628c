# Images come from registries that are known.
#
# Parameters, in data.parameters.registries:
#   allowed: registries, or registries with the beginning of a path;
#            ["docker.io/library/spark", "docker.io/apache"]
package starter.registries

import data.lib.spark

default allowed := ["docker.io/library/spark", "docker.io/apache"]

allowed := data.parameters.registries.allowed

# An image with its registry in front, as container runtimes complete it.
complete(image) := image if has_registry(image)

complete(image) := concat("/", ["docker.io", image]) if {
	not has_registry(image)
	contains(image, "/")
}

complete(image) := concat("/", ["docker.io/library", image]) if not contains(image, "/")

has_registry(image) if {
	contains(image, "/")
	first := split(image, "/")[0]
	regex.match(`[.:]|^localhost$`, first)
}

# A prefix ends where a part of the name ends.
within(image, prefix) if {
	startswith(image, prefix)
	rest := trim_prefix(image, prefix)
	regex.match(`^$|^[/:@]`, rest)
}

within(image, prefix) if {
	endswith(prefix, "/")
	startswith(image, prefix)
}

allows(image) if {
	some prefix in allowed
	within(complete(image), prefix)
}

deny contains {"msg": msg, "path": item.path} if {
	some item in spark.images
	not allows(item.image)
	msg := sprintf("the image %q is from none of the allowed registries: %s", [item.image, concat(", ", allowed)])
}
