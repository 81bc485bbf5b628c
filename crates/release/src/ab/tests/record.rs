//! Fates of pairs, verdicts of the whole, and records as evidence.

use serde_json::json;

use super::super::*;
use super::design;
use crate::shadow::{Compared, Facts, Written};

fn side(milliseconds: i64) -> Side {
    Side {
        application: "app".into(),
        milliseconds: Some(milliseconds),
        reads: 3,
        writes: 3,
        ..Side::default()
    }
}

fn pair(old: f64, new: f64) -> Pair {
    Pair {
        first: Which::Old,
        began: Timestamp::UNIX_EPOCH,
        old: side(1000),
        new: side(1000),
        values: [(Metric::Time, Values { old, new })].into(),
        left_out: None,
    }
}

fn release(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn record(pairs: Vec<Pair>) -> Record {
    let design = design();
    let standings = vec![standing(Metric::Time, &ratios(&pairs, Metric::Time), &design)];
    Record {
        kind: KIND.into(),
        release: release(2),
        against: release(1),
        verdict: conclude(&standings),
        began: Timestamp::UNIX_EPOCH,
        ended: Timestamp::UNIX_EPOCH,
        design,
        environment: None,
        inputs: Inputs {
            places: Vec::new(),
            objects: 0,
            bytes: 0,
            list: release(3),
        },
        metrics: standings,
        warm_up: None,
        outputs: vec![Output {
            place: "s3://lake/out".into(),
            old: Written::default(),
            new: Written::default(),
            compared: Compared::NotCompared,
        }],
        pairs,
        comparison: Value::Null,
        reasons: Vec::new(),
        notes: Vec::new(),
    }
}

#[test]
fn the_whole_follows_from_its_metrics() {
    use Conclusion::{Better, CannotTell, NoDifference, Worse};
    use Finding::{Less, More, NoDifference as Same};
    let standing = |found: Option<Finding>| Standing {
        metric: Metric::Time,
        pairs: 9,
        ratio: None,
        low: None,
        high: None,
        found,
        more_pairs: None,
    };
    for (found, expected) in [
        (vec![], CannotTell),
        (vec![Some(Same)], NoDifference),
        (vec![Some(Less)], Better),
        (vec![Some(More)], Worse),
        (vec![None], CannotTell),
        (vec![Some(Less), Some(Same)], Better),
        (vec![Some(Less), Some(More)], Worse),
        (vec![Some(Less), None], CannotTell),
        (vec![None, Some(More)], Worse),
    ] {
        let standings: Vec<Standing> = found.iter().map(|found| standing(*found)).collect();
        assert_eq!(conclude(&standings), expected, "{found:?}");
    }
}

#[test]
fn a_pair_counts_is_left_out_or_ends_it() {
    type Change = fn(&mut Facts);
    let table: [(&str, Change, Option<Conclusion>, &str); 8] = [
        ("good", |_| {}, None, "counts"),
        (
            "the old one fails",
            |f| f.old.failed = Some("lost".into()),
            None,
            "left out",
        ),
        (
            "the new one fails",
            |f| f.new.failed = Some("exit code 1".into()),
            Some(Conclusion::Worse),
            "release-shadow-failed",
        ),
        (
            "the new one writes elsewhere",
            |f| {
                f.new.refused_writes.insert("PutObject s3://a/b".into());
            },
            Some(Conclusion::Worse),
            "release-shadow-elsewhere",
        ),
        (
            "the old one writes elsewhere and fails",
            |f| {
                f.old.failed = Some("denied".into());
                f.old.refused_writes.insert("PutObject s3://a/b".into());
            },
            Some(Conclusion::CannotTell),
            "release-shadow-baseline",
        ),
        (
            "an input changed",
            |f| f.changed.push("s3://a/b (replaced)".into()),
            Some(Conclusion::CannotTell),
            "release-shadow-input",
        ),
        (
            "an input changed and the old one fails",
            |f| {
                f.changed.push("s3://a/b (replaced)".into());
                f.old.failed = Some("gone".into());
            },
            Some(Conclusion::CannotTell),
            "release-shadow-input",
        ),
        (
            "the log is broken",
            |f| f.old.log_broken = Some("no space".into()),
            Some(Conclusion::CannotTell),
            "release-shadow-log",
        ),
    ];
    for (name, change, ends, sign) in table {
        let mut facts = Facts {
            old: side(1000),
            new: side(1000),
            ..Facts::default()
        };
        change(&mut facts);
        match (fate(&facts), ends) {
            (Fate::Counts, None) => assert_eq!(sign, "counts", "{name}"),
            (Fate::LeftOut(why), None) => assert!(sign == "left out" && why.contains("lost"), "{name}: {why}"),
            (Fate::Ends(said, reasons), Some(expected)) => {
                assert_eq!(said, expected, "{name}");
                assert_eq!(reasons[0].code, sign, "{name}");
            }
            (fate, _) => panic!("{name}: {fate:?}"),
        }
    }
}

#[test]
fn pairs_that_do_not_count_are_not_counted() {
    let mut pairs = vec![pair(1.0, 1.5); 9];
    pairs[2].left_out = Some("the old release failed".into());
    pairs[3].values.clear();
    pairs[4].values.insert(Metric::Time, Values { old: 0.0, new: 1.0 });
    assert_eq!(ratios(&pairs, Metric::Time).len(), 6);
    assert!(ratios(&pairs, Metric::Cost).is_empty());
}

#[test]
fn a_record_is_read_as_what_its_pairs_say() {
    let good = record(vec![pair(1.0, 1.0); 9]);
    assert_eq!(good.verdict, Conclusion::NoDifference);
    let text = |record: &Record| serde_json::to_vec(record).unwrap();
    assert_eq!(
        Record::read(&text(&good), &release(2)).unwrap().verdict,
        Conclusion::NoDifference
    );
    assert_eq!(record(vec![pair(1.0, 1.5); 9]).verdict, Conclusion::Worse);
    type Change = fn(&mut Record);
    let table: [(&str, Change); 6] = [
        ("is about", |r| r.release = release(9)),
        ("is a `other`", |r| r.kind = "other".into()),
        ("its pairs say `worse`", |r| r.pairs = vec![pair(1.0, 1.5); 9]),
        ("its pairs say `cannot tell`", |r| r.pairs.truncate(3)),
        ("--alpha", |r| r.design.alpha = 3.0),
        ("the rule", |r| r.design.rule = "t".into()),
    ];
    for (part, change) in table {
        let mut record = good.clone();
        change(&mut record);
        let reason = Record::read(&text(&record), &release(2)).unwrap_err();
        assert!(reason.message.contains(part), "{part}: {}", reason.message);
        assert!(reason.code == "release-ab-record" || reason.code == "release-ab-design");
    }
    for bytes in [&b""[..], b"{}", b"[1]", b"\xff"] {
        assert_eq!(Record::read(bytes, &release(2)).unwrap_err().code, "release-ab-record");
    }
    // Names as they stand in JSON.
    let value = serde_json::to_value(&good).unwrap();
    assert_eq!(value["verdict"], "no-difference");
    assert_eq!(value["metrics"][0]["found"], "no-difference");
    assert_eq!(value["pairs"][0]["values"]["time"], json!({"old": 1.0, "new": 1.0}));
    assert_eq!(value["design"]["mostPairs"], 30);
}
