//! Reads price tables and says what is wrong with them, with file, line and fix.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::manifest::{self, Content, Node, join, join_index, nearest};
use stoke_model::quantity::Quantity;

use super::Money;
use super::prices::{Capacity, Discount, Prices, Rate, Tariff, Time};

const TABLE: &[&str] = &[
    "currency",
    "provider",
    "region",
    "account",
    "invoices",
    "prices",
    "discounts",
];
const INVOICE: &[&str] = &["month", "id"];
const RATE: &[&str] = &[
    "shape",
    "capacity",
    "from",
    "until",
    "cpuHour",
    "gibHour",
    "storageGibHour",
    "gpuHour",
    "nodeHour",
    "cpu",
    "memory",
    "gpus",
];
const DISCOUNT: &[&str] = &["name", "percent", "shape", "capacity", "from", "until"];

impl Prices {
    /// Reads a table.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with file, line and fix.
    pub fn read(name: &str, text: &str) -> Result<Prices, Vec<Diagnostic>> {
        let source = Source::new(name, text);
        let (nodes, complaints) = manifest::read(&source);
        let mut reader = Reader {
            source: &source,
            complaints,
        };
        let prices = match nodes.as_slice() {
            [node] => reader.table(node),
            _ if !reader.complaints.is_empty() => None,
            _ => {
                let place = source.place_at(0);
                let message = format!("a price table is one document; there are {}", nodes.len());
                reader
                    .complaints
                    .push(Diagnostic::at(Severity::Error, "no-table", &source, place, "", message));
                None
            }
        };
        match prices {
            Some(prices) if reader.complaints.is_empty() => Ok(prices),
            _ => {
                reader
                    .complaints
                    .sort_by_key(|complaint| (complaint.line, complaint.column));
                Err(reader.complaints)
            }
        }
    }
}

fn overlap(a: (Time, Time), b: (Time, Time)) -> bool {
    a.0.unwrap_or(i64::MIN) < b.1.unwrap_or(i64::MAX) && b.0.unwrap_or(i64::MIN) < a.1.unwrap_or(i64::MAX)
}

struct Reader<'a> {
    source: &'a Source,
    complaints: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn complain(&mut self, node: &Node, code: &'static str, path: &str, message: String, fix: Option<&str>) {
        let complaint = Diagnostic::at(Severity::Error, code, self.source, node.place, path, message);
        self.complaints.push(match fix {
            Some(fix) => complaint.with_fix(fix),
            None => complaint,
        });
    }

    fn table(&mut self, node: &Node) -> Option<Prices> {
        self.keys(node, "", TABLE);
        let currency = self.text(node, "", "currency");
        match &currency {
            None => self.complain(
                node,
                "missing-price-key",
                "",
                "`currency` is missing".to_owned(),
                Some("add `currency: EUR`"),
            ),
            Some(code) if code.len() != 3 || !code.bytes().all(|letter| letter.is_ascii_uppercase()) => {
                let message = format!("`{code}` is not a currency code");
                let at = node.get("currency").unwrap_or(node);
                self.complain(
                    at,
                    "bad-currency",
                    "currency",
                    message,
                    Some("write the three letters of ISO 4217, for example EUR"),
                );
            }
            Some(_) => {}
        }
        let list = self.list(node, "prices");
        let rates: Vec<Rate> = list.iter().filter_map(|(path, item)| self.rate(item, path)).collect();
        if list.is_empty() && node.get("prices").is_none() {
            let fix = "add `prices:` with at least one entry, for example `- {cpuHour: 0.0425, gibHour: 0.0046}`";
            self.complain(
                node,
                "missing-price-key",
                "",
                "`prices` is missing".to_owned(),
                Some(fix),
            );
        }
        self.overlaps(&list, &rates);
        let discounts = self.list(node, "discounts");
        let discounts = discounts
            .iter()
            .filter_map(|(path, item)| self.discount(item, path))
            .collect();
        Some(Prices {
            name: self.source.name().to_owned(),
            currency: currency?,
            provider: self
                .text(node, "", "provider")
                .unwrap_or_else(|| "Kubernetes".to_owned()),
            region: self.text(node, "", "region"),
            invoices: self.invoices(node),
            account: self.text(node, "", "account").unwrap_or_else(|| "default".to_owned()),
            rates,
            discounts,
        })
    }

    /// Two prices for the same thing at the same time would make the bill a matter of order.
    fn overlaps(&mut self, list: &[(String, Node)], rates: &[Rate]) {
        if list.len() != rates.len() {
            return;
        }
        for (at, rate) in rates.iter().enumerate() {
            let earlier = rates[..at].iter().find(|other| {
                other.shape == rate.shape
                    && other.capacity == rate.capacity
                    && overlap((other.from, other.until), (rate.from, rate.until))
            });
            if let Some(earlier) = earlier {
                let message = format!(
                    "this price and the one of line {} are for the same nodes at the same time",
                    earlier.line
                );
                let (path, node) = &list[at];
                self.complain(
                    node,
                    "overlapping-prices",
                    path,
                    message,
                    Some("end the earlier with `until` where this begins with `from`"),
                );
            }
        }
    }

    fn rate(&mut self, node: &Node, path: &str) -> Option<Rate> {
        self.keys(node, path, RATE);
        let (from, until) = self.validity(node, path);
        let shape = self.text(node, path, "shape");
        let capacity = self.capacity(node, path);
        let cpu = self.money(node, path, "cpuHour");
        let memory = self.money(node, path, "gibHour");
        let storage = self.money(node, path, "storageGibHour");
        let gpu = self.money(node, path, "gpuHour");
        let hour = self.money(node, path, "nodeHour");
        let tariff = match (hour, cpu, memory) {
            (Some(hour), None, None) if storage.is_none() && gpu.is_none() => {
                let cpus = self.quantity(node, path, "cpu");
                let size = self.quantity(node, path, "memory");
                let gpus = self.quantity(node, path, "gpus");
                match (cpus, size) {
                    (Some(cpus), Some(size)) if cpus.millis() > 0 && size.units() > 0 => Tariff::Node {
                        hour,
                        millicores: cpus.millis(),
                        memory: size.units(),
                        gpus: gpus.map_or(0, |gpus| gpus.units().max(0)),
                    },
                    _ => {
                        let message =
                            "a price of a node needs the node's `cpu` and `memory`, both more than 0".to_owned();
                        self.complain(
                            node,
                            "missing-price-key",
                            path,
                            message,
                            Some("add `cpu: 8` and `memory: 32Gi`, what the node can give to pods"),
                        );
                        return None;
                    }
                }
            }
            (None, Some(cpu), Some(memory)) => Tariff::Reserved {
                cpu,
                memory,
                storage,
                gpu,
            },
            _ => {
                let message = "an entry has either `nodeHour` or both `cpuHour` and `gibHour`".to_owned();
                self.complain(node, "bad-price", path, message, Some("write 0 for what costs nothing"));
                return None;
            }
        };
        Some(Rate {
            shape,
            capacity,
            from,
            until,
            tariff,
            line: node.place.line,
        })
    }

    fn discount(&mut self, node: &Node, path: &str) -> Option<Discount> {
        self.keys(node, path, DISCOUNT);
        let (from, until) = self.validity(node, path);
        let percent = self.money(node, path, "percent");
        let hundred = Money::of_nanos(100_000_000_000);
        match percent {
            Some(percent) if percent <= hundred => Some(Discount {
                name: self.text(node, path, "name").unwrap_or_else(|| "discount".to_owned()),
                percent,
                shape: self.text(node, path, "shape"),
                capacity: self.capacity(node, path),
                from,
                until,
            }),
            _ => {
                let message = "a discount needs `percent`, from 0 to 100".to_owned();
                self.complain(node, "bad-discount", path, message, None);
                None
            }
        }
    }

    /// Invoices by month. A month has one: with two, which it is would be a matter of order.
    fn invoices(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut invoices = BTreeMap::new();
        for (path, item) in self.list(node, "invoices") {
            self.keys(&item, &path, INVOICE);
            let month = self.text(&item, &path, "month");
            let first = |month: &String| time(&format!("{month}-01")).is_some() && month.len() == "2026-10".len();
            match (
                month.filter(first),
                self.text(&item, &path, "id").filter(|id| !id.trim().is_empty()),
            ) {
                (Some(month), Some(id)) if !invoices.contains_key(&month) => {
                    invoices.insert(month, id);
                }
                (Some(month), Some(_)) => {
                    let message = format!("{month} has an invoice already");
                    self.complain(&item, "double-invoice", &path, message, Some("leave one of both out"));
                }
                _ => {
                    let message = "an invoice has a `month` and an `id`".to_owned();
                    let fix = "write `- {month: 2026-10, id: \"R-2026-17\"}` for a month whose billing is closed";
                    self.complain(&item, "bad-invoice", &path, message, Some(fix));
                }
            }
        }
        invoices
    }

    fn keys(&mut self, node: &Node, path: &str, known: &[&str]) {
        if !matches!(node.content, Content::Map(_)) {
            self.complain(
                node,
                "wrong-type",
                path,
                format!("this must be a mapping, not {}", node.type_name()),
                None,
            );
        }
        for entry in node.entries() {
            if known.contains(&entry.key.as_str()) {
                continue;
            }
            let fix = match nearest(&entry.key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here are {}", known.join(", ")),
            };
            let path = join(path, &entry.key);
            let message = format!("a price table has no `{}` here", entry.key);
            let complaint = Diagnostic::at(
                Severity::Error,
                "unknown-key",
                self.source,
                entry.key_place,
                &path,
                message,
            );
            self.complaints.push(complaint.with_fix(fix));
        }
    }

    fn list(&mut self, node: &Node, key: &str) -> Vec<(String, Node)> {
        let Some(list) = node.get(key) else { return Vec::new() };
        if !matches!(list.content, Content::List(_)) {
            self.complain(
                list,
                "wrong-type",
                key,
                format!("`{key}` must be a list, not {}", list.type_name()),
                None,
            );
        }
        let items = list.items().iter().enumerate();
        items.map(|(at, item)| (join_index(key, at), item.clone())).collect()
    }

    /// A scalar as it is written, so that `0.1` stays 0.1.
    fn text(&mut self, node: &Node, path: &str, key: &str) -> Option<String> {
        let value = node.get(key)?;
        match &value.content {
            Content::String(text) => Some(text.clone()),
            Content::Number(_) => Some(self.source.written(value.place).trim().to_owned()),
            _ => {
                let message = format!("`{key}` must be a text or a number, not {}", value.type_name());
                self.complain(value, "wrong-type", &join(path, key), message, None);
                None
            }
        }
    }

    fn money(&mut self, node: &Node, path: &str, key: &str) -> Option<Money> {
        let text = self.text(node, path, key)?;
        let value = node.get(key)?;
        match text.parse() {
            Ok(money) => Some(money),
            Err(error) => {
                self.complain(value, "bad-amount", &join(path, key), format!("{error}"), None);
                None
            }
        }
    }

    fn quantity(&mut self, node: &Node, path: &str, key: &str) -> Option<Quantity> {
        let text = self.text(node, path, key)?;
        let value = node.get(key)?;
        match text.parse() {
            Ok(quantity) => Some(quantity),
            Err(error) => {
                self.complain(value, "bad-quantity", &join(path, key), format!("{error}"), None);
                None
            }
        }
    }

    fn capacity(&mut self, node: &Node, path: &str) -> Option<Capacity> {
        let text = self.text(node, path, "capacity")?;
        match text.as_str() {
            "on-demand" => Some(Capacity::OnDemand),
            "spot" => Some(Capacity::Spot),
            _ => {
                let value = node.get("capacity")?;
                let message = format!("`{text}` is not a capacity");
                self.complain(
                    value,
                    "bad-capacity",
                    &join(path, "capacity"),
                    message,
                    Some("write `on-demand` or `spot`"),
                );
                None
            }
        }
    }

    fn validity(&mut self, node: &Node, path: &str) -> (Time, Time) {
        let from = self.time(node, path, "from");
        let until = self.time(node, path, "until");
        if let (Some(begin), Some(end)) = (from, until)
            && begin >= end
        {
            let message = "`from` must be before `until`".to_owned();
            self.complain(
                node,
                "bad-validity",
                path,
                message,
                Some("`until` is the first moment the entry is no longer valid"),
            );
        }
        (from, until)
    }

    fn time(&mut self, node: &Node, path: &str, key: &str) -> Time {
        let text = self.text(node, path, key)?;
        let value = node.get(key)?;
        match time(&text) {
            Some(time) => Some(time),
            None => {
                let message = format!("`{text}` is not a date");
                self.complain(
                    value,
                    "bad-date",
                    &join(path, key),
                    message,
                    Some("write 2026-01-31 (its midnight in UTC) or 2026-01-31T12:00:00Z"),
                );
                None
            }
        }
    }
}

/// A date (its midnight in UTC) or a time of RFC 3339, in milliseconds since 1970.
pub(crate) fn time(text: &str) -> Time {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let date: Date = text.parse().ok()?;
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<(usize, String, String)> {
        let complaints = Prices::read("p.yaml", text).unwrap_err();
        complaints
            .into_iter()
            .map(|it| (it.line, it.code.to_string(), it.fix_text().to_owned()))
            .collect()
    }

    #[test]
    fn numbers_keep_the_digits_they_are_written_with() {
        let text = r#"{"currency": "USD", "prices": [{"cpuHour": 0.100000000, "gibHour": "0.000000001"}]}"#;
        let prices = Prices::read("p.json", text).unwrap();
        let expected = Tariff::Reserved {
            cpu: Money::of_nanos(100_000_000),
            memory: Money::of_nanos(1),
            storage: None,
            gpu: None,
        };
        assert_eq!(prices.rates[0].tariff, expected);
    }

    #[test]
    fn invoices_and_accounts_are_texts_as_written() {
        let text = "currency: EUR\naccount: 0012345678\nprices: []\ninvoices: [{month: 2026-10, id: 0017}, {month: 2026-11, id: Rechnung-ä}]";
        let prices = Prices::read("p.yaml", text).unwrap();
        assert_eq!(prices.account, "0012345678");
        assert_eq!(prices.invoices["2026-10"], "0017");
        assert_eq!(prices.invoices["2026-11"], "Rechnung-ä");
        for (item, code) in [
            ("{month: 2026-13, id: a}", "bad-invoice"),
            ("{month: 2026-1, id: a}", "bad-invoice"),
            ("{id: a}", "bad-invoice"),
            ("{month: 2026-10}", "bad-invoice"),
            ("{month: 2026-10, id: a}, {month: 2026-10, id: b}", "double-invoice"),
        ] {
            let text = format!("currency: EUR\nprices: []\ninvoices: [{item}]");
            assert_eq!(wrong(&text)[0].1, code, "{item}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_line_and_a_fix() {
        let table: [(&str, (usize, &str, &str)); 10] = [
            (
                "currency: EUR\nprices:\n- {cpuHuor: 1, cpuHour: 1, gibHour: 1}\n",
                (3, "unknown-key", "`cpuHour`"),
            ),
            (
                "currency: Euro\nprices: [{cpuHour: 1, gibHour: 1}]\n",
                (1, "bad-currency", "ISO 4217"),
            ),
            (
                "prices: [{cpuHour: 1, gibHour: 1}]\n",
                (1, "missing-price-key", "currency: EUR"),
            ),
            ("currency: EUR\n", (1, "missing-price-key", "prices:")),
            ("currency: EUR\nprices:\n- {cpuHour: 1}\n", (3, "bad-price", "write 0")),
            (
                "currency: EUR\nprices:\n- {nodeHour: 1, cpu: 4}\n",
                (3, "missing-price-key", "memory: 32Gi"),
            ),
            (
                "currency: EUR\nprices:\n- {cpuHour: -1, gibHour: 1}\n",
                (3, "bad-amount", ""),
            ),
            (
                "currency: EUR\nprices:\n- {cpuHour: 1, gibHour: 1}\n- {cpuHour: 1, gibHour: 1, from: 2026-01-01}\n",
                (4, "overlapping-prices", "until"),
            ),
            (
                "currency: EUR\nprices: [{cpuHour: 1, gibHour: 1, capacity: sport}]\n",
                (2, "bad-capacity", "spot"),
            ),
            (
                "currency: EUR\nprices: [{cpuHour: 1, gibHour: 1, from: soon}]\n",
                (2, "bad-date", "2026-01-31"),
            ),
        ];
        for (text, (line, code, fix)) in table {
            let found = wrong(text);
            let hit = found
                .iter()
                .any(|it| it.0 == line && it.1 == code && it.2.contains(fix));
            assert!(hit, "{text}: {found:?}");
        }
        assert!(Prices::read("p", "").is_err());
        assert!(Prices::read("p", "a: [").is_err());
        assert!(Prices::read("p", "- 1").is_err());
    }
}
