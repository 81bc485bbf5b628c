//! Charges as rows of FOCUS 1.2 (FinOps Open Cost and Usage Specification, <https://focus.finops.org/focus-specification/v1-2/>).
//!
//! One row is one resource of one pod over at most one day. Costs are decimals with 9 digits; times are UTC. The columns are the mandatory ones,
//! and of the conditional ones those whose condition is met: usage is measured, prices are unit prices, resources have ids. Ours begin with
//! `x_`, as the specification has it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::money::divide;
use super::parquet;
use super::parts::{Bill, Line, Resource};
use super::prices::{Capacity, Prices};
use super::showback::csv_field;

pub use super::parquet::ParquetFailed;

/// The version of the specification.
pub const VERSION: &str = "1.2";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A decimal with 9 digits after the point.
    Decimal,
    /// A time in UTC.
    Time,
}

/// A column: its name, what it holds, and whether it may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// As the specification writes it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
}

const fn column(name: &'static str, kind: Kind, nullable: bool) -> Column {
    Column { name, kind, nullable }
}

/// The columns, in the order of every row.
pub const COLUMNS: [Column; 45] = [
    column("BilledCost", Kind::Decimal, false),
    column("BillingAccountId", Kind::Text, false),
    column("BillingAccountName", Kind::Text, true),
    column("BillingCurrency", Kind::Text, false),
    column("BillingPeriodEnd", Kind::Time, false),
    column("BillingPeriodStart", Kind::Time, false),
    column("ChargeCategory", Kind::Text, false),
    column("ChargeClass", Kind::Text, true),
    column("ChargeDescription", Kind::Text, true),
    column("ChargeFrequency", Kind::Text, false),
    column("ChargePeriodEnd", Kind::Time, false),
    column("ChargePeriodStart", Kind::Time, false),
    column("ConsumedQuantity", Kind::Decimal, true),
    column("ConsumedUnit", Kind::Text, true),
    column("ContractedCost", Kind::Decimal, false),
    column("ContractedUnitPrice", Kind::Decimal, true),
    column("EffectiveCost", Kind::Decimal, false),
    column("InvoiceId", Kind::Text, true),
    column("InvoiceIssuerName", Kind::Text, false),
    column("ListCost", Kind::Decimal, false),
    column("ListUnitPrice", Kind::Decimal, true),
    column("PricingCategory", Kind::Text, true),
    column("PricingQuantity", Kind::Decimal, true),
    column("PricingUnit", Kind::Text, true),
    column("ProviderName", Kind::Text, false),
    column("PublisherName", Kind::Text, false),
    column("RegionId", Kind::Text, true),
    column("RegionName", Kind::Text, true),
    column("ResourceId", Kind::Text, true),
    column("ResourceName", Kind::Text, true),
    column("ResourceType", Kind::Text, true),
    column("ServiceCategory", Kind::Text, false),
    column("ServiceName", Kind::Text, false),
    column("ServiceSubcategory", Kind::Text, false),
    column("SkuId", Kind::Text, true),
    column("SkuMeter", Kind::Text, true),
    column("SkuPriceDetails", Kind::Text, true),
    column("SkuPriceId", Kind::Text, true),
    column("SubAccountId", Kind::Text, true),
    column("SubAccountName", Kind::Text, true),
    column("Tags", Kind::Text, true),
    column("x_ApplicationId", Kind::Text, false),
    column("x_ApplicationName", Kind::Text, false),
    column("x_Executor", Kind::Text, false),
    column("x_Pod", Kind::Text, true),
];

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    Text(String),
    /// Billionths.
    Decimal(i128),
    /// Milliseconds since 1970.
    Time(i64),
}

/// The rows of daily bills ([`super::showback::daily`]): each charge is within one day, so also within one billing period, the calendar month.
/// Bills without prices have no rows.
pub fn rows(bills: &[Bill], prices: &Prices) -> Vec<Vec<Value>> {
    let lines = bills
        .iter()
        .flat_map(|bill| bill.lines.iter().map(move |line| (bill, line)));
    lines.map(|(bill, line)| row(bill, line, prices)).collect()
}

fn row(bill: &Bill, line: &Line, prices: &Prices) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let optional = |value: Option<&str>| value.map_or(Value::Null, |value| Value::Text(value.to_owned()));
    let decimal = |amount: super::Money| Value::Decimal(amount.nanos());
    let (sku, unit, consumed_unit) = match line.resource {
        Resource::Cpu => ("cpu", "Core-Hours", "Core-Seconds"),
        Resource::Memory => ("memory", "GiB-Hours", "GiB-Seconds"),
        Resource::Storage => ("storage", "GiB-Hours", "GiB-Seconds"),
        Resource::Gpu => ("gpu", "GPU-Hours", "GPU-Seconds"),
        Resource::Node => ("node", "Node-Hours", "Node-Seconds"),
    };
    let time = i128::from(line.period.until - line.period.from);
    let quantity = |unit: i128| {
        let held = line.held.0.saturating_mul(time).saturating_mul(1_000_000_000);
        Value::Decimal(divide(held, line.held.1.saturating_mul(unit)).unwrap_or(0))
    };
    let capacity = line.capacity.unwrap_or(Capacity::OnDemand);
    let who = if line.holder == crate::facts::run::DRIVER {
        "driver".to_owned()
    } else {
        format!("executor {}", line.holder)
    };
    let pod = line
        .pod
        .clone()
        .unwrap_or_else(|| format!("{}-{}", bill.application, line.holder));
    let month = month(line.period.from);
    let invoice = Timestamp::from_millisecond(month.0)
        .map(|first| first.strftime("%Y-%m").to_string())
        .ok()
        .and_then(|name| prices.invoices.get(&name));
    let namespace = bill.namespace.as_deref();
    let mut details = serde_json::Map::new();
    if let Some(shape) = &line.shape {
        details.insert("x_NodeShape".to_owned(), shape.as_str().into());
    }
    details.insert("x_Capacity".to_owned(), capacity.as_str().into());
    let tags: serde_json::Map<String, serde_json::Value> = bill
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    vec![
        decimal(line.cost),
        text(&prices.account),
        text(&prices.account),
        text(&prices.currency),
        Value::Time(month.1),
        Value::Time(month.0),
        text("Usage"),
        Value::Null,
        Value::Text(format!("{sku} of {who} of {}", bill.name)),
        text("Usage-Based"),
        Value::Time(line.period.until),
        Value::Time(line.period.from),
        quantity(1000),
        text(consumed_unit),
        decimal(line.cost),
        decimal(line.price),
        decimal(line.cost),
        optional(invoice.map(String::as_str)),
        text(&prices.provider),
        decimal(line.list_cost),
        decimal(line.list_price),
        text(if capacity == Capacity::Spot {
            "Dynamic"
        } else {
            "Standard"
        }),
        quantity(3_600_000),
        text(unit),
        text(&prices.provider),
        text(&prices.provider),
        optional(prices.region.as_deref()),
        optional(prices.region.as_deref()),
        Value::Text(format!("{}/{pod}", bill.application)),
        Value::Text(pod),
        text("Pod"),
        text("Analytics"),
        text("Apache Spark"),
        text("Data Processing"),
        text(sku),
        Value::Text(format!("{sku} reserved")),
        Value::Text(serde_json::Value::Object(details).to_string()),
        Value::Text(
            [Some(sku), line.shape.as_deref(), Some(capacity.as_str())]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("/"),
        ),
        optional(namespace),
        optional(namespace),
        Value::Text(serde_json::Value::Object(tags).to_string()),
        text(&bill.application),
        text(&bill.name),
        text(&line.holder),
        optional(line.pod.as_deref()),
    ]
}

/// The calendar month (of UTC) of a time, from its first moment to that of the next.
fn month(time: i64) -> (i64, i64) {
    let midnight = |date: Date| {
        date.to_zoned(TimeZone::UTC)
            .map(|zoned| zoned.timestamp().as_millisecond())
    };
    let date = Timestamp::from_millisecond(time)
        .map(|time| time.to_zoned(TimeZone::UTC).date())
        .unwrap_or_default();
    let next = date.last_of_month().tomorrow().unwrap_or(date);
    (
        midnight(date.first_of_month()).unwrap_or(time),
        midnight(next).unwrap_or(time),
    )
}

/// The rows as CSV (RFC 4180, UTF-8) with a head. Texts are in quotes, so that a reader who asks for that keeps an account's number a text and tells an empty
/// text from a null; nulls are empty.
pub fn csv(rows: &[Vec<Value>]) -> String {
    let mut text = COLUMNS.map(|column| column.name).join(",");
    text.push_str("\r\n");
    for row in rows {
        let fields: Vec<String> = row.iter().map(field).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn field(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        other => csv_field(&written(other)),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Decimal(nanos) => super::Money::of_nanos(*nanos).to_string(),
        Value::Time(time) => Timestamp::from_millisecond(*time).map_or_else(|_| String::new(), |time| time.to_string()),
    }
}

/// The rows as a Parquet file: texts as strings, decimals as `DECIMAL(38, 9)`, times as UTC timestamps in milliseconds.
///
/// # Errors
/// [`ParquetFailed`] when the rows do not fit the columns.
pub fn parquet(rows: &[Vec<Value>]) -> Result<Vec<u8>, ParquetFailed> {
    parquet::write(&COLUMNS, rows)
}
