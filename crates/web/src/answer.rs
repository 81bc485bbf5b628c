//! What a statement answered: columns that are not known before, rows of any kind, a picture of the numbers, and all of it as a file.

use std::fmt::Write;

use serde_json::{Value, json};
use stoke_connect::{Column, text_of};
use stoke_insight::cost::showback::csv_field;

use crate::address;
use crate::picture::chart::{Axis, Chart};
use crate::words::Words;

/// Lines of one picture.
const LINES: [&str; 3] = ["line1", "line2", "line3"];
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

    /// The columns of numbers as lines over the rows; none where there is nothing to draw.
    pub fn chart(&self, w: &'static Words) -> Option<Chart> {
        let number = |value: &Value| match value {
            Value::String(text) => text.parse().unwrap_or(f64::NAN),
            value => value.as_f64().unwrap_or(f64::NAN),
        };
        // The first column names the rows where there are others.
        let is_drawn = |(at, column): &(usize, &Column)| column.is_number() && (*at > 0 || self.columns.len() == 1);
        let drawn: Vec<(usize, &Column)> = self
            .columns
            .iter()
            .enumerate()
            .filter(is_drawn)
            .take(LINES.len())
            .collect();
        if drawn.is_empty() || self.rows.len() < 2 {
            return None;
        }
        let points = |column: usize| {
            let rows = self.rows.iter().enumerate();
            rows.map(move |(row, values)| (row as f64, values.get(column).map_or(f64::NAN, number)))
        };
        let finite = |column: usize| points(column).map(|point| point.1).filter(|number| number.is_finite());
        let all = || drawn.iter().flat_map(|(column, _)| finite(*column));
        let mut up = Axis::up_to(all());
        up.from = all().fold(0.0, f64::min);
        if up.from < 0.0 {
            up.until = all().fold(0.0, f64::max);
        }
        let across = Axis {
            from: 0.0,
            until: (self.rows.len() - 1) as f64,
            factors: false,
        };
        let p = w.platform();
        let mut chart = Chart::new(p.sql_chart, p.sql_chart_about, across, up);
        chart.label_beside(|number| format!("{number}"));
        let apart = self.rows.len().div_ceil(MARKS);
        let marks = self.rows.iter().enumerate().step_by(apart).map(|(row, values)| {
            let name = match self.columns.len() {
                1 => (row + 1).to_string(),
                _ => values.first().map(text_of).unwrap_or_default(),
            };
            (row as f64, name.chars().take(16).collect::<String>())
        });
        chart.label_below(marks);
        for ((column, about), class) in drawn.into_iter().zip(LINES) {
            chart.line(class, points(column));
            chart.legend.push((class, about.name.clone()));
        }
        Some(chart)
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
        assert_eq!(chart.shapes.len(), 2);
        assert_eq!(
            chart.shapes[0].1.matches('M').count(),
            2,
            "a value that is missing is a gap"
        );
        let texts = Answer {
            columns: vec![column("a", "string")],
            ..Answer::default()
        };
        assert!(texts.chart(Language::English.words()).is_none());
    }
}
