# Images are what they were when they were approved: named by digest, or signed.
#
# A signature counts when someone verified it and says so in data.stoke.images; what a manifest says of itself does not.
package starter.image_digest

import data.lib.spark

by_digest(image) if regex.match(`@sha256:[0-9a-f]{64}$`, image)

signed(image) if data.stoke.images[image].signed == true

deny contains {"msg": msg, "path": item.path} if {
	some item in spark.images
	not by_digest(item.image)
	not signed(item.image)
	msg := sprintf("the image %q is named by tag and has no verified signature: its content may change", [item.image])
}
