//! What `stoke cost --output focus` claims, rule by rule: the columns of FOCUS 1.2 with their level, type, nulls and values, and which columns
//! are left out because their condition is not met.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use stoke_eventlog::{Options, Source};
use stoke_insight::cost::focus::{COLUMNS, Kind, Value, rows};
use stoke_insight::cost::showback::daily;
use stoke_insight::cost::{Prices, Window};
use stoke_insight::facts::collect;

/// The level of a column in the specification.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Level {
    Mandatory,
    Recommended,
    Conditional,
}
use Level::{Conditional, Mandatory, Recommended};

/// What every value of a column must be.
#[derive(Clone, Copy)]
enum Rule {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// ISO 4217.
    Currency,
    /// `<unit>-<time>`, as the specification's unit format has it.
    Unit,
    /// A JSON object of keys and values.
    Json,
    /// Text that says something.
    Text,
    /// A number that is not below zero.
    Amount,
    /// A time.
    Time,
    /// Null for every charge of ours.
    Null,
}
use Rule::{Amount, Currency, Json, Null, OneOf, Text, Time, Unit};

/// Column; level; whether the specification lets it be null; the rule of its values.
const RULES: &[(&str, Level, bool, Rule)] = &[
    ("BilledCost", Mandatory, false, Amount),
    ("BillingAccountId", Mandatory, false, Text),
    ("BillingAccountName", Mandatory, true, Text),
    ("BillingCurrency", Mandatory, false, Currency),
    ("BillingPeriodEnd", Mandatory, false, Time),
    ("BillingPeriodStart", Mandatory, false, Time),
    (
        "ChargeCategory",
        Mandatory,
        false,
        OneOf(&["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
    ),
    // "Correction", or null; nothing of ours corrects an earlier charge.
    ("ChargeClass", Mandatory, true, Null),
    ("ChargeDescription", Mandatory, true, Text),
    (
        "ChargeFrequency",
        Recommended,
        false,
        OneOf(&["One-Time", "Recurring", "Usage-Based"]),
    ),
    ("ChargePeriodEnd", Mandatory, false, Time),
    ("ChargePeriodStart", Mandatory, false, Time),
    ("ConsumedQuantity", Conditional, true, Amount),
    ("ConsumedUnit", Conditional, true, Unit),
    ("ContractedCost", Mandatory, false, Amount),
    ("ContractedUnitPrice", Conditional, true, Amount),
    ("EffectiveCost", Mandatory, false, Amount),
    ("InvoiceId", Recommended, true, Text),
    ("InvoiceIssuerName", Mandatory, false, Text),
    ("ListCost", Mandatory, false, Amount),
    ("ListUnitPrice", Conditional, true, Amount),
    (
        "PricingCategory",
        Conditional,
        true,
        OneOf(&["Standard", "Dynamic", "Committed", "Other"]),
    ),
    ("PricingQuantity", Mandatory, true, Amount),
    ("PricingUnit", Mandatory, true, Unit),
    ("ProviderName", Mandatory, false, Text),
    ("PublisherName", Mandatory, false, Text),
    ("RegionId", Conditional, true, Text),
    ("RegionName", Conditional, true, Text),
    ("ResourceId", Conditional, true, Text),
    ("ResourceName", Conditional, true, Text),
    ("ResourceType", Conditional, true, Text),
    ("ServiceCategory", Mandatory, false, OneOf(&["Analytics"])),
    ("ServiceName", Mandatory, false, Text),
    ("ServiceSubcategory", Recommended, false, OneOf(&["Data Processing"])),
    ("SkuId", Conditional, true, Text),
    ("SkuMeter", Conditional, true, Text),
    ("SkuPriceDetails", Conditional, true, Json),
    ("SkuPriceId", Conditional, true, Text),
    ("SubAccountId", Conditional, true, Text),
    ("SubAccountName", Conditional, true, Text),
    ("Tags", Conditional, true, Json),
];

/// Columns of the specification that we do not write, and why that is right.
const LEFT_OUT: &[(&str, Level, &str)] = &[
    (
        "AvailabilityZone",
        Recommended,
        "a run is priced by region; zones are not told by an event log",
    ),
    (
        "BillingAccountType",
        Conditional,
        "condition: more than one type of billing account",
    ),
    (
        "CapacityReservationId",
        Conditional,
        "condition: capacity reservations are supported",
    ),
    (
        "CapacityReservationStatus",
        Conditional,
        "condition: capacity reservations are supported",
    ),
    (
        "CommitmentDiscountCategory",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountId",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountName",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountQuantity",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountStatus",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountType",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "CommitmentDiscountUnit",
        Conditional,
        "condition: commitment discounts are supported",
    ),
    (
        "PricingCurrency",
        Conditional,
        "condition: prices in another currency than that of the bill",
    ),
    (
        "PricingCurrencyContractedUnitPrice",
        Conditional,
        "condition: prices in another currency than that of the bill",
    ),
    (
        "PricingCurrencyEffectiveCost",
        Conditional,
        "condition: prices in another currency than that of the bill",
    ),
    (
        "PricingCurrencyListUnitPrice",
        Conditional,
        "condition: prices in another currency than that of the bill",
    ),
    (
        "SubAccountType",
        Conditional,
        "condition: more than one type of sub account",
    ),
];

#[test]
fn every_column_of_the_specification_is_there_or_left_out_for_a_reason() {
    let ours: BTreeSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(ours.len(), COLUMNS.len(), "a column is there twice");
    for (name, level, nullable, rule) in RULES {
        let column = COLUMNS.iter().find(|column| column.name == *name);
        let column = column.unwrap_or_else(|| panic!("{name} ({level:?}) is missing"));
        assert!(*nullable || !column.nullable, "{name} may not be null");
        let kind = match rule {
            Amount => Kind::Decimal,
            Time => Kind::Time,
            _ => Kind::Text,
        };
        assert_eq!(column.kind, kind, "{name}");
    }
    for (name, level, why) in LEFT_OUT {
        assert!(!ours.contains(name), "{name} is there, so it is not left out");
        assert!(*level != Mandatory && !why.is_empty(), "{name}");
    }
    let known: BTreeSet<&str> = RULES.iter().map(|rule| rule.0).collect();
    for name in ours.difference(&known) {
        let rest = name.strip_prefix("x_");
        assert!(
            rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric())),
            "{name} is not a column of the specification and does not begin with x_"
        );
    }
}

fn holds(rule: Rule, value: &Value) -> bool {
    match (rule, value) {
        (Null, value) => *value == Value::Null,
        (Amount, Value::Decimal(nanos)) => *nanos >= 0,
        (Time, Value::Time(_)) => true,
        (Text, Value::Text(text)) => !text.trim().is_empty(),
        (OneOf(allowed), Value::Text(text)) => allowed.contains(&text.as_str()),
        (Currency, Value::Text(text)) => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        (Unit, Value::Text(text)) => matches!(
            text.split_once('-'),
            Some(("Core" | "GiB" | "GPU" | "Node", "Hours" | "Seconds"))
        ),
        (Json, Value::Text(text)) => {
            let object: Result<BTreeMap<String, serde_json::Value>, _> = serde_json::from_str(text);
            object.is_ok_and(|object| object.values().all(|value| !value.is_object() && !value.is_array()))
        }
        _ => false,
    }
}

/// What the price table says besides; whether the month's billing is closed.
const TABLES: &[(&str, bool)] = &[
    ("account: '0012345678'", false),
    ("account: '0012345678'\ninvoices: [{month: 2026-11, id: 0017}]", true),
    ("account: Größe 日次 \"7\", \nprovider: Große Wolke", false),
    (
        "account: '007'\nregion: eu-central-1\ndiscounts: [{percent: 12.5}]\ninvoices: [{month: 2026-10, id: X}]",
        false,
    ),
];

#[test]
fn every_value_of_a_real_run_keeps_its_columns_rule() {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pairs"));
    let logs = source.logs().unwrap();
    let log = logs.iter().find(|log| log.path.ends_with("fail.zstd")).unwrap();
    let mut run = collect::run(&source, log, Options::default()).unwrap();
    run.name = "Übersicht 日次, \"täglich\"".to_owned();
    for (label, value) in [("team", "red, \"hot\""), ("example.com/tenant", "ä"), ("empty", "")] {
        run.spark
            .insert(format!("spark.kubernetes.driver.label.{label}"), value.to_owned());
    }
    for (more, closed) in TABLES {
        let text = format!("currency: EUR\nprices: [{{cpuHour: 0.0425, gibHour: 0.0046}}]\n{more}\n");
        let prices = Prices::read("prices.yaml", &text).unwrap_or_else(|wrong| panic!("{more}: {wrong:?}"));
        let rows = rows(&daily(&run, None, Some(&prices), Window::ALL).unwrap(), &prices);
        assert!(!rows.is_empty());
        for row in &rows {
            assert_eq!(row.len(), COLUMNS.len());
            let of = |name: &str| {
                let place = COLUMNS.iter().position(|column| column.name == name).unwrap();
                &row[place]
            };
            for (column, value) in COLUMNS.iter().zip(row) {
                assert!(
                    column.nullable || *value != Value::Null,
                    "{more}: {} is null",
                    column.name
                );
                if let Some((name, _, nullable, rule)) = RULES.iter().find(|rule| rule.0 == column.name) {
                    let null = *nullable && *value == Value::Null;
                    assert!(null || holds(*rule, value), "{more}: {name} is {value:?}");
                }
            }
            // Of a charge for usage that has a price, none of these may be null; units belong to quantities, names to ids.
            for name in [
                "ConsumedQuantity",
                "ConsumedUnit",
                "PricingQuantity",
                "PricingUnit",
                "SkuId",
                "SkuPriceId",
                "ListUnitPrice",
                "ContractedUnitPrice",
            ] {
                assert_ne!(*of(name), Value::Null, "{more}: {name}");
            }
            assert_eq!(of("RegionId") == &Value::Null, of("RegionName") == &Value::Null);
            assert_eq!(of("SubAccountId") == &Value::Null, of("SubAccountName") == &Value::Null);
            // A month whose billing is closed has its invoice, any other none.
            assert_eq!(*of("InvoiceId") != Value::Null, *closed, "{more}");
            if *closed {
                assert_eq!(*of("InvoiceId"), Value::Text("0017".to_owned()));
            }
            // The digits of an account stay a text.
            let account = more
                .lines()
                .next()
                .unwrap()
                .trim_start_matches("account: ")
                .trim_matches('\'')
                .trim();
            assert_eq!(*of("BillingAccountId"), Value::Text(account.to_owned()));
            let times = [
                "BillingPeriodStart",
                "ChargePeriodStart",
                "ChargePeriodEnd",
                "BillingPeriodEnd",
            ]
            .map(|name| match of(name) {
                Value::Time(time) => *time,
                other => panic!("{name} is {other:?}"),
            });
            assert!(times.is_sorted() && times[1] < times[2], "{times:?}");
        }
    }
}
