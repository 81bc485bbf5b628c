# Everything has an owner, and someone who pays.
#
# Parameters, in data.parameters.labels:
#   required: labels that must be there and not empty; ["owner", "cost-centre"]
package starter.labels

default required := ["owner", "cost-centre"]

required := data.parameters.labels.required

kinds := {"SparkApplication", "ScheduledSparkApplication", "SparkConnect"}

missing contains label if {
	some label in required
	object.get(input.metadata, ["labels", label], "") == ""
}

deny contains {"msg": msg, "path": sprintf("metadata.labels.%s", [label])} if {
	input.kind in kinds
	some label in missing
	msg := sprintf("the label %q is missing", [label])
}

# Cost is counted by labels of pods, which have those of driver and executor.
warn contains {"msg": msg, "path": sprintf("metadata.labels.%s", [label])} if {
	input.kind == "Pod"
	input.metadata.labels["spark-role"]
	some label in missing
	msg := sprintf("the label %q is missing: its cost cannot be determined; set it in labels of driver and executor", [label])
}
