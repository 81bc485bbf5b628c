//! Damaged logs: whatever the bytes are, they end in an application that can be shown or in a report, never in a panic, and in bounded
//! memory. The same inputs each time.
#![allow(clippy::unwrap_used)]

use std::io::Write;

/// Every kind of event, as Spark 4.1.4 wrote it for applications of ours.
const EVERY_EVENT: &[u8] = include_bytes!("../fixtures/every-event.zstd");
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Knuth's multiplicative generator: what comes next depends on nothing but what came before.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

/// Changes bytes in one of the ways disks, crashes and people do.
fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    let until = (at + numbers.below(400)).min(bytes.len());
    match numbers.below(8) {
        0 => bytes.truncate(at),
        1 => bytes[at..until].fill(0),
        2 => drop(bytes.drain(at..until)),
        3 => {
            let again = bytes[at..until].to_vec();
            let place = numbers.below(bytes.len());
            bytes.splice(place..place, again);
        }
        4 => (0..20).for_each(|_| {
            let place = numbers.below(bytes.len());
            bytes[place] ^= 1 << numbers.below(8);
        }),
        5 => {
            // A number becomes one no field can hold, or one that makes sums overflow.
            let huge = [
                "9223372036854775807",
                "-9223372036854775808",
                "99999999999999999999999",
                "1e308",
                "-1",
                "0.5",
                "null",
            ];
            let digit = bytes[at..].iter().position(u8::is_ascii_digit).map(|place| at + place);
            if let Some(begin) = digit {
                let length = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let value = huge[numbers.below(huge.len())].bytes();
                bytes.splice(begin..begin + length, value);
            }
        }
        6 => {
            // Lines in another order.
            let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            for _ in 0..10 {
                let (one, other) = (numbers.below(lines.len()), numbers.below(lines.len()));
                lines.swap(one, other);
            }
            *bytes = lines.join(&b'\n');
        }
        _ => {
            let junk: Vec<u8> = (0..numbers.below(64)).map(|_| numbers.below(256) as u8).collect();
            bytes.splice(at..at, junk);
        }
    }
}

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
