//! Damage to bytes, the same each time: what disks, crashes and people do to files.

/// Knuth's multiplicative generator: what comes next depends on nothing but what came before.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

/// Numbers that no field can hold, or that make sums overflow.
const HUGE: [&str; 7] = [
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999",
    "1e308",
    "-1",
    "0.5",
    "null",
];

/// Changes bytes in one of eight ways.
pub fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
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
            let bit = 1 << numbers.below(8);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= bit;
            }
        }),
        5 => {
            let digit = bytes[at..].iter().position(u8::is_ascii_digit).map(|place| at + place);
            if let Some(begin) = digit {
                let length = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let value = HUGE[numbers.below(HUGE.len())].bytes();
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

/// Says which input it was when a test fails on it.
struct Input<'a>(usize, &'a [u8]);

impl Drop for Input<'_> {
    #[allow(
        clippy::print_stderr,
        reason = "the input that failed, beside the test's own message"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text: String = self.1.escape_ascii().map(char::from).collect();
            eprintln!("input {}: b\"{text}\"", self.0);
        }
    }
}

/// Gives `each` the seeds of a fuzz target (`fuzz/seeds/<target>`), then `count` of them damaged, the same ones every time. `STOKE_FUZZ` multiplies
/// the count.
///
/// # Panics
/// When the target has no seed.
pub fn damaged(target: &str, count: usize, mut each: impl FnMut(&[u8])) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    assert!(!seeds.is_empty(), "no seed below {}", directory.display());
    let times = std::env::var("STOKE_FUZZ").ok().and_then(|times| times.parse().ok());
    let mut numbers = Numbers(7);
    for (number, seed) in seeds.iter().enumerate() {
        let _input = Input(number, seed);
        each(seed);
    }
    for number in 0..count * times.unwrap_or(1) {
        let mut bytes = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            if !bytes.is_empty() {
                damage(&mut bytes, &mut numbers);
            }
        }
        let input = Input(number, &bytes);
        each(input.1);
    }
}
