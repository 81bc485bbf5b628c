//! Comparisons of data: of a thousand mutations each is found, and of a thousand ways to write the same rows none is taken for another.
//!
//! Single cases are in [`cases`]. Of the others, by default one in ten of each, in tier `full` all. They are made by their number, so one that fails is made again.

mod cases;
mod made;

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use stoke_quality::Storage;
use stoke_quality::difference::{Alone, Difference, Options, compare};
use stoke_testkit::{Tier, trial};

use made::{Layout, Random, Row, files, rows};

/// Cases of each.
const CASES: u64 = 1000;
/// Those of the default tier.
const SHARE: u64 = 100;

pub fn all() -> Vec<Trial> {
    let free = || Ok(());
    vec![
        trial("formats_beside_each_other", Tier::Default, free, cases::formats),
        trial("rows_that_repeat", Tier::Default, free, cases::repeats),
        trial("the_first_differences", Tier::Default, free, cases::examples),
        trial("distributions_of_columns", Tier::Default, free, cases::distributions),
        trial("what_cannot_be_compared", Tier::Default, free, cases::refusals),
        trial("versions_of_tables", Tier::Default, free, cases::versions),
        trial("mutations_are_found", Tier::Default, free, || each(0..SHARE, mutation)),
        trial("all_mutations_are_found", Tier::Full, free, || {
            each(SHARE..CASES, mutation)
        }),
        trial("the_same_rows_are_equal", Tier::Default, free, || each(0..SHARE, same)),
        trial("the_same_rows_are_equal_however_written", Tier::Full, free, || {
            each(SHARE..CASES, same)
        }),
    ]
}

fn each(cases: std::ops::Range<u64>, case: impl Fn(u64, &Path) -> Result<(), String>) -> Result<(), Failed> {
    let mut failed = Vec::new();
    for number in cases {
        let directory = tempfile::tempdir()?;
        if let Err(reason) = case(number, directory.path()) {
            failed.push(format!("case {number}: {reason}"));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("{} cases:\n{}", failed.len(), failed.join("\n")).into())
}

/// Options as any user could have them.
fn options(random: &mut Random, tolerant: bool) -> Options {
    Options {
        keys: if random.one_in(2) {
            vec!["id".into()]
        } else {
            Vec::new()
        },
        tolerance: tolerant.then(|| "relative=1e-9".parse().unwrap()),
        // A quarter of all: little enough that rows go to disk.
        memory: if random.one_in(4) { 4 << 10 } else { 64 << 20 },
        threads: Some(1 + random.below(3)),
        ..Options::default()
    }
}

fn compared(directory: &Path, options: &Options) -> Result<Difference, String> {
    let (left, right) = (
        Storage::local(directory.join("left")),
        Storage::local(directory.join("right")),
    );
    compare(&left, &right, options, &Alone).map_err(|error| error.to_string())
}

/// The same rows in another order, in other files, with noise within the tolerance.
fn same(number: u64, directory: &Path) -> Result<(), String> {
    let random = &mut Random::new(number);
    let size = random.below(300);
    let left = rows(random, size);
    let mut right = left.clone();
    let tolerant = random.one_in(2);
    for row in &mut right {
        let noise = |random: &mut Random, value: f64| match value {
            0.0 => -0.0,
            value if value.is_nan() => f64::from_bits(0x7ff8_0000_0000_0001 + random.below(9) as u64),
            value if tolerant => value * (1.0 + (random.share() - 0.5) * 1.9e-9),
            value => value,
        };
        row.price = row.price.map(|price| noise(random, price));
        row.y = noise(random, row.y);
    }
    random.shuffle(&mut right);
    Layout::any(random, size).write(&left, &directory.join("left"));
    Layout::any(random, size).write(&right, &directory.join("right"));
    let found = compared(directory, &options(random, tolerant))?;
    let alike = found.is_equal() && found.rows.equal == size as u64 && found.examples.is_empty();
    if alike { Ok(()) } else { Err(found.to_string()) }
}

/// What is done to one side.
type Mutate = fn(&mut Random, &mut Vec<Row>, &mut Layout) -> bool;

/// Ways in which data differ; those that find nothing to change say so.
const MUTATIONS: &[(&str, Mutate)] = &[
    ("a row is lost", |random, rows, _| {
        rows.remove(random.below(rows.len()));
        true
    }),
    ("a row is added", |_, rows, _| {
        let mut row = rows[0].clone();
        row.id = 1_000_000;
        rows.push(row);
        true
    }),
    ("a row is there twice", |random, rows, _| {
        let row = rows[random.below(rows.len())].clone();
        rows.push(row);
        true
    }),
    ("a row is there twice, and another is lost", |random, rows, _| {
        let at = random.below(rows.len());
        let row = rows[(at + 1) % rows.len()].clone();
        rows[at] = row;
        true
    }),
    ("two keys have each other's values", |random, rows, _| {
        let at = random.below(rows.len());
        let other = (at + 1) % rows.len();
        let (one, two) = (rows[at].id, rows[other].id);
        rows.swap(at, other);
        rows[at].id = one;
        rows[other].id = two;
        true
    }),
    ("two rows have each other's value", |random, rows, _| {
        let at = random.below(rows.len());
        let other = (at + 1) % rows.len();
        let value = rows[at].cents;
        rows[at].cents = rows[other].cents;
        rows[other].cents = value;
        rows[at].cents != value
    }),
    ("a key is another", |random, rows, _| {
        let at = random.below(rows.len());
        rows[at].id += 1_000_000;
        true
    }),
    ("a null is an empty text", |random, rows, _| {
        some(random, rows, |row| {
            row.name.is_none().then(|| row.name = Some(String::new()))
        })
    }),
    ("an empty text is null", |random, rows, _| {
        some(random, rows, |row| {
            (row.name.as_deref() == Some("")).then(|| row.name = None)
        })
    }),
    ("a value is null", |random, rows, _| {
        some(random, rows, |row| row.cents.take().map(drop))
    }),
    ("a text has another case", |random, rows, _| {
        some(random, rows, |row| {
            let upper = row.name.as_ref()?.to_uppercase();
            (row.name.as_ref() != Some(&upper)).then(|| row.name = Some(upper))
        })
    }),
    ("a text has a space at its end", |random, rows, _| {
        some(random, rows, |row| row.name.as_mut().map(|name| name.push(' ')))
    }),
    ("a text is composed otherwise", |random, rows, _| {
        some(random, rows, |row| {
            let name = row.name.as_mut().filter(|name| name.contains('ü'))?;
            *name = name.replace('ü', "u\u{308}");
            Some(())
        })
    }),
    ("a cent more", |random, rows, _| {
        some(random, rows, |row| row.cents.as_mut().map(|cents| *cents += 1))
    }),
    ("another sign", |random, rows, _| {
        some(random, rows, |row| {
            row.cents
                .as_mut()
                .filter(|cents| **cents != 0)
                .map(|cents| *cents = -*cents)
        })
    }),
    ("a number beyond the tolerance", |random, rows, _| {
        some(random, rows, |row| {
            row.price
                .as_mut()
                .filter(|price| price.is_normal())
                .map(|price| *price *= 1.0 + 3e-9)
        })
    }),
    ("a number is none", |random, rows, _| {
        some(random, rows, |row| {
            row.price
                .as_mut()
                .filter(|price| price.is_finite())
                .map(|price| *price = f64::NAN)
        })
    }),
    ("what is not a number is null", |random, rows, _| {
        some(random, rows, |row| {
            row.price.filter(|price| price.is_nan()).map(|_| row.price = None)
        })
    }),
    ("another infinity", |random, rows, _| {
        some(random, rows, |row| {
            row.price
                .as_mut()
                .filter(|price| price.is_infinite())
                .map(|price| *price = -*price)
        })
    }),
    ("an hour later", |random, rows, _| {
        some(random, rows, |row| row.at.as_mut().map(|at| *at += 3_600_000_000))
    }),
    ("all zones are shifted", |_, rows, _| {
        rows.iter_mut()
            .for_each(|row| row.at = row.at.map(|at| at - 7_200_000_000));
        rows.iter().any(|row| row.at.is_some())
    }),
    ("moments are cut to seconds", |_, rows, _| {
        rows.iter_mut()
            .for_each(|row| row.at = row.at.map(|at| at.div_euclid(1_000_000) * 1_000_000));
        rows.iter().any(|row| row.at.is_some())
    }),
    ("a day later", |random, rows, _| {
        some(random, rows, |row| {
            row.day += 1;
            Some(())
        })
    }),
    ("true is false", |random, rows, _| {
        some(random, rows, |row| row.flag.as_mut().map(|flag| *flag = !*flag))
    }),
    ("false is null", |random, rows, _| {
        some(random, rows, |row| {
            row.flag.filter(|flag| !flag).map(|_| row.flag = None)
        })
    }),
    ("a list is in another order", |random, rows, _| {
        some(random, rows, |row| {
            let tags = row.tags.as_mut()?;
            let before = tags.clone();
            tags.reverse();
            (*tags != before).then_some(())
        })
    }),
    ("an empty list is null", |random, rows, _| {
        some(random, rows, |row| {
            row.tags
                .as_ref()
                .filter(|tags| tags.is_empty())
                .map(drop)
                .map(|()| row.tags = None)
        })
    }),
    ("a list has one more", |random, rows, _| {
        some(random, rows, |row| row.tags.as_mut().map(|tags| tags.push(None)))
    }),
    ("a list of null is one of an empty text", |random, rows, _| {
        some(random, rows, |row| {
            let tag = row.tags.as_mut()?.iter_mut().find(|tag| tag.is_none())?;
            *tag = Some(String::new());
            Some(())
        })
    }),
    ("a field of a structure is another", |random, rows, _| {
        some(random, rows, |row| row.x.as_mut().map(|x| *x += 1))
    }),
    ("a number of a structure is another", |random, rows, _| {
        some(random, rows, |row| row.y.is_normal().then(|| row.y *= 1.0 + 1e-6))
    }),
    ("a byte is another", |random, rows, _| {
        some(random, rows, |row| row.bytes.first_mut().map(|byte| *byte ^= 1))
    }),
    ("a zero at the end of bytes", |random, rows, _| {
        some(random, rows, |row| {
            row.bytes.push(0);
            Some(())
        })
    }),
    ("a value of a map is another", |random, rows, _| {
        some(random, rows, |row| {
            row.counts.as_mut()?.first_mut().map(|(_, count)| *count += 1)
        })
    }),
    ("a key of a map is another", |random, rows, _| {
        some(random, rows, |row| {
            row.counts.as_mut()?.first_mut().map(|(key, _)| key.push('x'))
        })
    }),
    ("a number of few values is another", |random, rows, _| {
        some(random, rows, |row| {
            row.small = (row.small + 1) % 3;
            Some(())
        })
    }),
    ("a narrower number", |_, _, layout| {
        layout.types.narrow_id = true;
        true
    }),
    ("decimals of another scale", |_, _, layout| {
        layout.types.scale = Some(4);
        true
    }),
    ("half the precision", |_, rows, layout| {
        layout.types.single_price = true;
        rows.iter().any(|row| row.price.is_some_and(f64::is_normal))
    }),
    ("no zone", |_, _, layout| {
        layout.types.without_zone = true;
        layout.milliseconds = false;
        true
    }),
    ("numbers as texts", |_, _, layout| {
        layout.types.text_small = true;
        true
    }),
    ("a column is lost", |random, _, layout| {
        layout.types.dropped = Some(random.pick(&["name", "at", "both", "counts", "small"]));
        true
    }),
    ("a column has another case", |_, _, layout| {
        layout.types.renamed = Some(("name", "Name"));
        true
    }),
];

/// Changes the first row from a random one on that can be changed.
fn some(random: &mut Random, rows: &mut [Row], change: impl Fn(&mut Row) -> Option<()>) -> bool {
    let from = random.below(rows.len());
    let number = rows.len();
    (0..number).any(|at| change(&mut rows[(from + at) % number]).is_some())
}

/// What is done to files after they are written.
type Damage = fn(&mut Random, &Path);

const DAMAGES: &[(&str, Damage)] = &[
    ("a file is cut", |random, path| {
        let length = std::fs::metadata(path).unwrap().len();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(random.below(usize::try_from(length).unwrap()) as u64)
            .unwrap();
    }),
    ("the middle of a file is lost", |random, path| {
        let bytes = std::fs::read(path).unwrap();
        let at = 4 + random.below(bytes.len() - 8);
        std::fs::write(path, [&bytes[..at], &bytes[at + 1..]].concat()).unwrap();
    }),
    ("a file is there twice", |_, path| {
        std::fs::copy(path, path.with_file_name("part-99999.parquet")).unwrap();
    }),
    ("a file is lost", |_, path| std::fs::remove_file(path).unwrap()),
];

/// Rows and the same rows changed.
struct Drawn {
    random: Random,
    left: Vec<Row>,
    right: Vec<Row>,
    layout: Layout,
}

/// Draws rows and changes them; none when these rows have nothing to change.
fn drawn(seed: u64, kind: usize) -> Option<Drawn> {
    let mut random = Random::new(seed);
    let size = 20 + random.below(200);
    let left = rows(&mut random, size);
    let (mut right, mut layout) = (left.clone(), Layout::any(&mut random, size));
    let changed = MUTATIONS
        .get(kind)
        .is_none_or(|(_, mutate)| mutate(&mut random, &mut right, &mut layout));
    changed.then_some(Drawn {
        random,
        left,
        right,
        layout,
    })
}

/// One side is changed, or its files are damaged.
fn mutation(number: u64, directory: &Path) -> Result<(), String> {
    let kinds = MUTATIONS.len() + DAMAGES.len();
    let kind = usize::try_from(number).unwrap() % kinds;
    let name = MUTATIONS
        .get(kind)
        .map_or_else(|| DAMAGES[kind - MUTATIONS.len()].0, |(name, _)| *name);
    let mut drawn = (0..20).filter_map(|draw| drawn(number ^ 0xD1FF ^ (draw << 32), kind));
    let mut drawn = drawn.next().ok_or_else(|| format!("{name}: nothing to change"))?;
    let random = &mut drawn.random;
    let size = drawn.left.len();
    random.shuffle(&mut drawn.right);
    Layout::any(random, size).write(&drawn.left, &directory.join("left"));
    drawn.layout.write(&drawn.right, &directory.join("right"));
    let mut damaged = false;
    if let Some((_, damage)) = kind.checked_sub(MUTATIONS.len()).and_then(|at| DAMAGES.get(at)) {
        let files = files(&directory.join("right"));
        let chosen = random.below(files.len());
        damage(random, &files[chosen]);
        damaged = true;
    }
    let tolerant = random.one_in(2);
    match compared(directory, &options(random, tolerant)) {
        Ok(found) if found.is_equal() => Err(format!("{name}: not found")),
        Ok(found) if found.schema.is_empty() && found.examples.is_empty() => Err(format!("{name}: no example")),
        Ok(_) => Ok(()),
        Err(_) if damaged => Ok(()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
