//! The question that a metastore's health is asked by, beside servers that answer well, badly and not at all.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use stoke_platform::render::objects;

use crate::{FULL, environments, right};

/// An address of this machine that no other program of ours has.
const ADDRESS: &str = "127.83.90.83";

#[test]
fn a_metastore_is_ready_when_it_lists_its_databases() {
    let file = right(FULL);
    let all = objects(&environments(&file)[0].scope());
    let deployment = all
        .iter()
        .find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == "metastore")
        .unwrap();
    let probe = &deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["exec"]["command"];
    // A port that is free here; the metastore's own may be taken.
    let listener = TcpListener::bind((ADDRESS, 0)).unwrap();
    let port = format!("/{}", listener.local_addr().unwrap().port());
    let probe: Vec<String> = probe
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part.as_str().unwrap().replace("/9083", &port))
        .collect();
    let ask = || {
        let output = Command::new(&probe[0])
            .args(&probe[1..])
            .env("POD_IP", ADDRESS)
            .output()
            .unwrap();
        output.status.code()
    };

    // Thrift's binary protocol: version and type, name, number, then the result's fields.
    let answer = |kind: u8, field: [u8; 3]| {
        let mut bytes = vec![0x80, 1, 0, kind, 0, 0, 0, 17];
        bytes.extend(b"get_all_databases");
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(field);
        bytes.extend([11, 0, 0, 0, 1, 0, 0, 0, 7]);
        bytes.extend(b"default\0");
        bytes
    };
    let cases = [
        ("a list", answer(2, [15, 0, 0]), true),
        (
            "an exception of the protocol, as of a missing method",
            answer(3, [11, 0, 1]),
            false,
        ),
        (
            "an exception of the metastore, as of a lost database",
            answer(2, [12, 0, 1]),
            false,
        ),
        ("nothing", Vec::new(), false),
        (
            "something else",
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec(),
            false,
        ),
    ];
    for (what, bytes, is_ready) in cases {
        let listener = listener.try_clone().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The call: 8 bytes, the name, 4 bytes and the end of its arguments.
            let mut asked = [0; 30];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&bytes).unwrap();
            asked
        });
        assert_eq!(ask() == Some(0), is_ready, "{what}");
        let asked = server.join().unwrap();
        assert_eq!(&asked[8..25], b"get_all_databases");
        assert_eq!(asked[29], 0);
    }
    drop(listener);
    assert_ne!(ask(), Some(0), "no one listens");
}
