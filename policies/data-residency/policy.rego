# Data stays in the regions it may be in: endpoints and regions of s3a:// say where it goes.
#
# Parameters, in data.parameters.data_residency:
#   regions: regions that are allowed; none
#   endpoints: hosts of endpoints that are allowed and name no region, as of a store of one's own; none
package starter.data_residency

import data.lib.spark

default regions := []

regions := data.parameters.data_residency.regions

default endpoints := []

endpoints := data.parameters.data_residency.endpoints

setting := `^spark\.hadoop\.fs\.s3a\.(bucket\.(.+)\.)?(endpoint|endpoint\.region)$`

# Regions and endpoints of S3, for all buckets or for one.
settings contains {"key": key, "value": value, "bucket": match[2], "what": match[3]} if {
	some key, value in spark.conf
	some match in regex.find_all_string_submatch_n(setting, key, 1)
}

host(endpoint) := split(split(trim_prefix(trim_prefix(endpoint, "https://"), "http://"), "/")[0], ":")[0]

# s3.eu-west-1.amazonaws.com, s3-eu-west-1.amazonaws.com, and their kin with dualstack, fips and VPC.
region(endpoint) := match[1] if {
	pattern := `(?:^|\.)(?:s3|s3-fips|vpce)[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-[0-9])\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$`
	some match in regex.find_all_string_submatch_n(pattern, host(endpoint), 1)
}

deny contains {"msg": msg, "path": spark.conf_path(item.key)} if {
	some item in settings
	item.what == "endpoint.region"
	not item.value in regions
	msg := sprintf("%s is %q, which is none of the allowed regions: %s", [item.key, item.value, listed])
}

deny contains {"msg": msg, "path": spark.conf_path(item.key)} if {
	some item in settings
	item.what == "endpoint"
	found := region(item.value)
	not found in regions
	msg := sprintf("%s is in %q, which is none of the allowed regions: %s", [item.key, found, listed])
}

deny contains {"msg": msg, "path": spark.conf_path(item.key)} if {
	some item in settings
	item.what == "endpoint"
	not region(item.value)
	not host(item.value) in endpoints
	not region_beside(item)
	msg := sprintf("%s is %q, which does not say its region and is none of the allowed endpoints", [item.key, item.value])
}

# Amazon's own endpoint without a region is fine where the region is set beside it.
region_beside(item) if {
	host(item.value) == "s3.amazonaws.com"
	some other in settings
	other.what == "endpoint.region"
	other.bucket == item.bucket
}

# A bucket that is read or written without saying where it is may be anywhere.
deny contains {"msg": msg, "path": place} if {
	some [place, location] in locations
	some match in regex.find_all_string_submatch_n(`^s3a?://([^/]+)`, location, 1)
	bucket := match[1]
	not placed(bucket)
	msg := sprintf("%s is used and nothing says in which region it is: set fs.s3a.endpoint.region", [match[0]])
}

placed(bucket) if {
	some item in settings
	item.bucket in {"", bucket}
}

locations contains [spark.conf_path(key), value] if {
	input.kind == "SparkConf"
	some key, value in input.conf
}

locations contains [place, value] if {
	walk(spark.application.spec, [path, value])
	is_string(value)
	place := concat(".", [spark.application.path, concat(".", [sprintf("%v", [step]) | some step in path])])
}

listed := concat(", ", regions) if count(regions) > 0

else := "there are none; set data.parameters.data_residency.regions"
