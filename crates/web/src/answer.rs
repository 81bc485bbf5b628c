//! What a statement answered: columns that are not known before, rows of any kind, a picture of the numbers, and all of it as a file.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Value, json};
use stoke_connect::{Column, text_of};
use stoke_insight::cost::showback::csv_field;

use crate::address;
use crate::picture::chart::{Axis, Chart};
use crate::words::Words;

/// Lines of one picture.
const LINES: [&str; 3] = ["line1", "line2", "line3"];
/// Bars of one row.
const BARS: [&str; 3] = ["area0", "area1", "area2"];
/// Rows that bars are drawn for.
const MOST_BARS: usize = 40;
/// Marks below a picture.
const MARKS: usize = 6;
/// Of a value, on the page; the file and the JSON have all of it.
const CELL: usize = 2_000;

/// The answer of a statement.
#[derive(Debug, Default)]
pub struct Answer {
    pub columns: Vec<Column>,
    /// Its rows; as many values as columns.
    pub rows: Vec<Vec<Value>>,
    /// The limit that ended it, if one did: `rows` or `bytes`.
    pub stopped: Option<&'static str>,
}

impl Answer {
    /// What the JSON says; the same as `stoke sql --output json`.
    pub fn value(&self) -> Value {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "type": column.kind}))
            .collect();
        json!({"columns": columns, "rows": self.rows, "stopped": self.stopped})
    }

    /// A row as it is shown.
    pub fn cells(&self, row: &[Value]) -> Vec<(String, bool)> {
        let shown = |(value, column): (&Value, &Column)| {
            let text = text_of(value);
            let mut short: String = text.chars().take(CELL).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            (short, column.is_number())
        };
        row.iter().zip(&self.columns).map(shown).collect()
    }

    /// All of it as a file within the page: it is kept nowhere and needs no script.
    pub fn file(&self) -> String {
        let line =
            |cells: &mut dyn Iterator<Item = String>| cells.map(|cell| csv_field(&cell)).collect::<Vec<_>>().join(",");
        let mut csv = line(&mut self.columns.iter().map(|column| column.name.clone())) + "\n";
        for row in &self.rows {
            let of = |value: &Value| if value.is_null() { String::new() } else { text_of(value) };
            let _ = writeln!(csv, "{}", line(&mut row.iter().map(of)));
        }
        format!("data:text/csv;charset=utf-8,{}", address::part(&csv))
    }

    /// A picture of the columns of numbers; none where there is nothing to draw. Few rows with names of their own are bars, others lines over the rows.
    pub fn chart(&self, w: &'static Words) -> Option<Chart> {
        // The first column names the rows where there are others.
        let is_drawn = |(at, column): &(usize, &Column)| column.is_number() && (*at > 0 || self.columns.len() == 1);
        let numbered = self.columns.iter().enumerate();
        let drawn: Vec<(usize, &Column)> = numbered.filter(is_drawn).take(LINES.len()).collect();
        if drawn.is_empty() || self.rows.len() < 2 {
            return None;
        }
        let numbers = |column: usize| {
            self.rows
                .iter()
                .map(move |values| values.get(column).map_or(f64::NAN, number))
        };
        let all = || {
            let all = drawn.iter().flat_map(|(column, _)| numbers(*column));
            all.filter(|number| number.is_finite())
        };
        let mut up = Axis::up_to(all());
        up.from = all().fold(0.0, f64::min);
        if up.from < 0.0 {
            up.until = all().fold(0.0, f64::max);
        }
        let is_bars = self.is_by_name();
        let across = Axis {
            from: 0.0,
            until: if is_bars { self.rows.len() } else { self.rows.len() - 1 } as f64,
            factors: false,
        };
        let p = w.platform();
        let title = if is_bars { p.sql_bars } else { p.sql_chart };
        let mut chart = Chart::new(title, p.sql_chart_about, across, up);
        chart.label_beside(|number| format!("{number}"));
        let apart = self.rows.len().div_ceil(MARKS);
        let middle = if is_bars { 0.5 } else { 0.0 };
        let marks = self.rows.iter().enumerate().step_by(apart).map(|(row, values)| {
            let name = match self.columns.len() {
                1 => (row + 1).to_string(),
                _ => values.first().map(text_of).unwrap_or_default(),
            };
            (row as f64 + middle, name.chars().take(16).collect::<String>())
        });
        chart.label_below(marks);
        let beside = 0.8 / drawn.len() as f64;
        for (place, (column, about)) in drawn.iter().enumerate() {
            let points = numbers(*column).enumerate();
            if is_bars {
                let left = 0.1 + place as f64 * beside;
                let bars = points.map(|(row, height)| (row as f64 + left, row as f64 + left + beside, height));
                chart.bars(BARS[place], bars);
                chart.legend.push((BARS[place], about.name.clone()));
            } else {
                chart.line(LINES[place], points.map(|(row, height)| (row as f64, height)));
                chart.legend.push((LINES[place], about.name.clone()));
            }
        }
        Some(chart)
    }

    /// Whether the first column has a name for each row, which is neither a number nor a time.
    fn is_by_name(&self) -> bool {
        let Some(first) = self.columns.first().filter(|_| self.columns.len() > 1) else {
            return false;
        };
        let is_time = |value: &Value| {
            let digits: Vec<bool> = text_of(value)
                .bytes()
                .take(8)
                .map(|byte| byte.is_ascii_digit())
                .collect();
            digits.len() >= 7 && digits[..4] == [true; 4] && !digits[4] && digits[5..7] == [true; 2]
        };
        let names: HashSet<String> = self.rows.iter().filter_map(|row| Some(text_of(row.first()?))).collect();
        let has_times = first.kind.starts_with("date")
            || first.kind.starts_with("time")
            || self.rows.iter().filter_map(|row| row.first()).all(is_time);
        !first.is_number() && !has_times && self.rows.len() <= MOST_BARS && names.len() == self.rows.len()
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap_or(f64::NAN),
        value => value.as_f64().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    fn column(name: &str, kind: &str) -> Column {
        Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn an_answer_is_a_table_a_picture_and_a_file() {
        let answer = Answer {
            columns: vec![
                column("day", "string"),
                column("n", "bigint"),
                column("cost", "decimal(4,2)"),
            ],
            rows: vec![
                vec![json!("a,b"), json!(3), json!("1.50")],
                vec![json!("c"), Value::Null, json!("-2.00")],
                vec![json!("d"), json!(7), json!("0.25")],
            ],
            stopped: Some("rows"),
        };
        assert_eq!(answer.value()["columns"][2]["type"], "decimal(4,2)");
        assert_eq!(answer.cells(&answer.rows[1])[1], ("NULL".to_owned(), true));
        let file = answer.file();
        assert!(
            file.ends_with("%22a%2Cb%22%2C3%2C1.50%0Ac%2C%2C-2.00%0Ad%2C7%2C0.25%0A"),
            "{file}"
        );
        let chart = answer.chart(Language::English.words()).unwrap();
        assert_eq!((chart.shapes.len(), chart.shapes[0].0), (2, "area0"));
        assert_eq!(
            chart.shapes[0].1.matches('M').count(),
            2,
            "a value that is missing has no bar"
        );
        let texts = Answer {
            columns: vec![column("a", "string")],
            ..Answer::default()
        };
        assert!(texts.chart(Language::English.words()).is_none());
    }

    #[test]
    fn names_have_bars_and_times_and_numbers_lines() {
        let answer = |kind: &str, names: &[Value]| Answer {
            columns: vec![column("x", kind), column("n", "bigint")],
            rows: names.iter().map(|name| vec![name.clone(), json!(1)]).collect(),
            stopped: None,
        };
        let many: Vec<Value> = (0..41).map(|number| json!(format!("name {number}"))).collect();
        for (kind, names, class) in [
            ("string", &[json!("a"), json!("b")][..], "area0"),
            ("string", &many[..40], "area0"),
            ("boolean", &[json!(true), json!(false)], "area0"),
            // The same name twice, too many names, times and numbers.
            ("string", &[json!("a"), json!("a")], "line1"),
            ("string", &many, "line1"),
            ("string", &[json!("2026-11-01"), json!("2026-11-02")], "line1"),
            ("string", &[json!("2026-11"), json!("2026-12")], "line1"),
            ("date", &[json!("2026-11-01"), json!("2026-11-02")], "line1"),
            ("timestamp", &[json!("x"), json!("y")], "line1"),
            ("int", &[json!(1), json!(2)], "line1"),
        ] {
            let chart = answer(kind, names).chart(Language::English.words()).unwrap();
            assert_eq!(chart.shapes[0].0, class, "{kind} {names:?}");
        }
        assert!(
            answer("string", &[json!("a")])
                .chart(Language::English.words())
                .is_none()
        );
    }
}
