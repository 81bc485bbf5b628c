//! Protobuf bodies: any bytes are answered, and what they say can be said again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    stoke_cluster::fuzz::protobuf_body(body);
    // Most bytes are no envelope: the same bytes as the message of a known kind, too.
    for kind in ["Pod", "Status", "DeleteOptions"] {
        let mut type_meta = vec![0x0a, 2, b'v', b'1', 0x12, kind.len() as u8];
        type_meta.extend_from_slice(kind.as_bytes());
        let mut enveloped = b"k8s\0\x0a".to_vec();
        enveloped.push(type_meta.len() as u8);
        enveloped.extend_from_slice(&type_meta);
        enveloped.push(0x12);
        let mut length = body.len();
        while length >= 0x80 {
            enveloped.push(length as u8 | 0x80);
            length >>= 7;
        }
        enveloped.push(length as u8);
        enveloped.extend_from_slice(body);
        stoke_cluster::fuzz::protobuf_body(&enveloped);
    }
});
