# What is over goes away: applications after a time, runs of a schedule beyond a number.
#
# Parameters, in data.parameters.retention:
#   seconds: how long an application may stay after its end; 604800, a week
#   runs: how many runs of a schedule may be kept, of those that succeeded and of those that failed; 10
package starter.retention

import data.lib.spark

default seconds := 604800

seconds := data.parameters.retention.seconds

default runs := 10

runs := data.parameters.retention.runs

deny contains {"msg": msg, "path": path} if {
	path := sprintf("%s.timeToLiveSeconds", [spark.application.path])
	not spark.application.spec.timeToLiveSeconds
	msg := sprintf("it stays for ever after its end: set timeToLiveSeconds to at most %d", [seconds])
}

deny contains {"msg": msg, "path": path} if {
	path := sprintf("%s.timeToLiveSeconds", [spark.application.path])
	spark.application.spec.timeToLiveSeconds > seconds
	msg := sprintf("it stays %d seconds after its end, and %d is the most", [spark.application.spec.timeToLiveSeconds, seconds])
}

deny contains {"msg": msg, "path": sprintf("spec.%s", [field])} if {
	input.kind == "ScheduledSparkApplication"
	some field in ["successfulRunHistoryLimit", "failedRunHistoryLimit"]
	input.spec[field] > runs
	msg := sprintf("%s keeps %d runs, and %d is the most", [field, input.spec[field], runs])
}
