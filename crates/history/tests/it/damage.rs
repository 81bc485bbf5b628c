//! Damaged logs: whatever the bytes are, they end in an application that can be shown or in a report, never in a panic, and in bounded
//! memory. The same inputs each time.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use stoke_testkit::damage::{Numbers, damage};

/// Every kind of event, as Spark 4.1.4 wrote it for applications of ours.
const EVERY_EVENT: &[u8] = include_bytes!("../fixtures/every-event.zstd");
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

fn read(kind: u8, bytes: &[u8]) {
    let mut input = vec![kind];
    input.extend_from_slice(bytes);
    stoke_history::fuzz::event_log(&input);
}

/// The most memory this process has taken, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn damaged_logs_are_read_as_far_as_they_go() {
    let text = zstd::decode_all(EVERY_EVENT).unwrap();
    read(PLAIN, &text);
    let mut numbers = Numbers(7);
    for _ in 0..150 {
        let mut bytes = text.clone();
        for _ in 0..=numbers.below(4) {
            damage(&mut bytes, &mut numbers);
            if bytes.is_empty() {
                break;
            }
        }
        read(PLAIN, &bytes);
    }
    for kind in 0..5 {
        for _ in 0..40 {
            let mut bytes = EVERY_EVENT.to_vec();
            damage(&mut bytes, &mut numbers);
            read(kind, &bytes);
        }
    }
    // A line without an end, packed into a few bytes.
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..400 {
        bomb.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    read(ZSTD, &bomb.finish().unwrap());
    #[cfg(target_os = "linux")]
    assert!(peak() < 300 << 20, "{} MiB were taken", peak() >> 20);
}
