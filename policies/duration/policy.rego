# An application ends some time: it says when it is to be stopped at the latest.
#
# Parameters, in data.parameters.duration:
#   seconds: the longest time; 86400, a day
package starter.duration

import data.lib.spark

annotation := "stoke.dev/active-deadline-seconds"

default seconds := 86400

seconds := data.parameters.duration.seconds

deadline := to_number(input.metadata.annotations[annotation])

deny contains {"msg": msg, "path": "metadata.annotations"} if {
	spark.application
	not deadline
	msg := sprintf("nothing says how long it may run: set the annotation %s to at most %d", [annotation, seconds])
}

deny contains {"msg": msg, "path": sprintf("metadata.annotations.%s", [annotation])} if {
	spark.application
	deadline > seconds
	msg := sprintf("it may run %v seconds, and %d is the most", [deadline, seconds])
}
