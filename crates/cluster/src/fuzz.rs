//! Doors for the fuzz targets, which stand outside of this crate. Nothing here is an interface.

use crate::apiserver::protobuf;

/// Reads any bytes as a protobuf body; what is read is written again, and read again.
pub fn protobuf_body(body: &[u8]) {
    let Ok(object) = protobuf::decode(body) else { return };
    if let Ok(written) = protobuf::encode(&object) {
        assert!(
            protobuf::decode(&written).is_ok(),
            "what was written cannot be read: {object}"
        );
    }
}
