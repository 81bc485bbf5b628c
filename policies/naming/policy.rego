# Names tell whose something is and what it does.
#
# Parameters, in data.parameters.naming:
#   pattern: a regular expression for names; "^[a-z][a-z0-9]*(-[a-z0-9]+)+$", a team and a job
#   kinds: kinds it is for; applications and schedules
package starter.naming

default pattern := `^[a-z][a-z0-9]*(-[a-z0-9]+)+$`

pattern := data.parameters.naming.pattern

default kinds := ["SparkApplication", "ScheduledSparkApplication", "SparkConnect"]

kinds := data.parameters.naming.kinds

deny contains {"msg": msg, "path": "metadata.name"} if {
	input.kind in kinds
	name := object.get(input.metadata, "name", "")
	not regex.match(pattern, name)
	msg := sprintf("the name %q does not follow the convention %s", [name, pattern])
}
