//! Rules in SQL: what is asked of an engine that is passed in, and what its answers mean.
//!
//! This room runs no SQL. It says what a table of the data is made of ([`Table`]) and which queries there are ([`Request`]); a [`Runner`] answers each
//! with one number or with the reason why not. What a table cannot be made of (remote data, Delta and Iceberg tables, files that cannot be read) is told
//! before anything is run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_schema::DataType;
use serde::Serialize;

use crate::contract::{Contract, Kind};
use crate::data::{Content, CsvOptions, DataFile, Dataset, Storage, partition};
use crate::engine::finish::{Finished, number_value};
use crate::report::Verdict;

/// All that is asked in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Names that the table has in queries.
    pub names: Vec<String>,
    pub table: Table,
    pub queries: Vec<String>,
}

/// A table of local files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// `parquet`, `csv` or `json`.
    pub format: &'static str,
    /// The directory that names of partitions are below; none when the place is one file.
    pub base: Option<PathBuf>,
    pub files: Vec<PathBuf>,
    /// Columns of CSV and JSON with their types as Spark SQL writes them; none of Parquet, which has its own.
    pub columns: Vec<(String, String)>,
    /// Between fields of CSV.
    pub delimiter: char,
    /// Whether files of CSV begin with the names of the columns.
    pub header: bool,
    /// Texts of CSV that stand for null.
    pub nulls: Vec<String>,
}

/// One number, or why there is none.
pub type Answer = Result<f64, String>;

/// Answers each query of a request, in its order.
pub type Runner<'a> = dyn FnMut(&Request) -> Vec<Answer> + 'a;

/// Why a check in SQL is not told when nothing is there to run it.
pub(crate) const NO_RUNNER: &str = "the rule is SQL, and no engine is given that runs it";

/// Takes answers to all checks in SQL, in one request. `contract` and `finished` go together.
pub(crate) fn ask(
    contract: &Contract,
    dataset: &Dataset,
    storage: &Storage,
    csv: &CsvOptions,
    runner: &mut Runner<'_>,
    finished: &mut [Finished],
) {
    let asked: Vec<(usize, String)> = contract
        .checks
        .iter()
        .enumerate()
        .filter_map(|(at, check)| match &check.kind {
            Kind::Sql { query, .. } => Some((at, query.clone())),
            _ => None,
        })
        .collect();
    if asked.is_empty() {
        return;
    }
    let answers = match table(dataset, storage, csv) {
        Err(reason) => vec![Err(reason); asked.len()],
        Ok(table) => runner(&Request {
            names: contract.names.clone(),
            table,
            queries: asked.iter().map(|(_, query)| query.clone()).collect(),
        }),
    };
    let mut answers = answers.into_iter();
    for (at, _) in asked {
        let answer = answers
            .next()
            .unwrap_or_else(|| Err("the query was not answered".into()));
        settle(&contract.checks[at].kind, answer, &mut finished[at]);
    }
}

fn settle(kind: &Kind, answer: Answer, finished: &mut Finished) {
    let Kind::Sql { limit, .. } = kind else { return };
    let result = &mut finished.result;
    (result.verdict, result.reason) = match answer {
        Err(reason) => (Verdict::CannotTell, Some(reason)),
        Ok(number) => {
            result.observed = Some(number_value(number));
            finished.number = Some(number);
            let verdict = if limit.holds(number) {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            (verdict, None)
        }
    };
}

/// The table that the data are.
///
/// # Errors
/// Why a query engine would see other data than this room, or none, and what to do.
fn table(dataset: &Dataset, storage: &Storage, csv: &CsvOptions) -> Result<Table, String> {
    let Some(place) = storage.local_path() else {
        return Err(
            "the rule is SQL, which is run over local files only; copy the data to a local directory to check it"
                .into(),
        );
    };
    if !matches!(dataset.layout, "parquet" | "csv" | "json") {
        return Err(format!(
            "the rule is SQL, which is not run over {} tables; write the table as Parquet to check it",
            dataset.layout
        ));
    }
    let documents = |file: &DataFile| matches!(&file.content, Ok(Content::Text(text)) if text.is_documents());
    if dataset.files.iter().any(documents) {
        return Err("the rule is SQL, which is run over JSON lines only; write one object a line to check it".into());
    }
    let place = std::path::absolute(place).map_err(|error| error.to_string())?;
    let whole = place.is_file();
    let mut files = Vec::new();
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut tabs = None;
    for file in &dataset.files {
        if let Err(reason) = &file.content {
            return Err(format!("{} cannot be read: {reason}", file.path));
        }
        for (name, _) in partition::of_path(&file.path) {
            // A column that is in a file and in its path is read from either, by the engine.
            if !whole && file.constants.iter().all(|(of, ..)| *of != name) {
                return Err(format!("{} has the column `{name}` in it and in its path", file.path));
            }
        }
        files.push(if whole { place.clone() } else { place.join(&file.path) });
        if dataset.layout == "parquet" {
            continue;
        }
        let tab = file.path.to_ascii_lowercase().contains(".tsv");
        if *tabs.get_or_insert(tab) != tab {
            return Err("files of CSV with commas and with tabs are mixed".into());
        }
        let stored = file.schema.fields().len() - file.constants.len();
        for field in file.schema.fields().iter().take(stored) {
            let of = spark_type(field.data_type());
            match known.get(field.name()) {
                Some(before) if *before != of => {
                    return Err(format!(
                        "the column `{}` is {before} in one file and {of} in {}; give it a type in the contract",
                        field.name(),
                        file.path
                    ));
                }
                Some(_) => {}
                None => {
                    known.insert(field.name().clone(), of.clone());
                    columns.push((field.name().clone(), of));
                }
            }
        }
    }
    if files.is_empty() {
        return Err("there are no files".into());
    }
    Ok(Table {
        format: dataset.layout,
        base: (!whole).then_some(place),
        files,
        columns,
        delimiter: if tabs == Some(true) {
            '\t'
        } else {
            char::from(csv.delimiter)
        },
        header: csv.header,
        nulls: csv.nulls.clone(),
    })
}

/// The type of Spark SQL that texts of a column are cast to. Nested values and times of day stay texts.
fn spark_type(of: &DataType) -> String {
    match of {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "int".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp".into(),
        DataType::Timestamp(_, None) => "timestamp_ntz".into(),
        _ => "string".into(),
    }
}

#[cfg(test)]
mod tests {
    use stoke_diagnostics::Source;

    use super::*;
    use crate::contract;
    use crate::run::{Options, run_with};

    fn contract(text: &str) -> Contract {
        let (contract, complaints) = contract::read(&Source::new("orders.yaml", text), None);
        assert!(complaints.is_empty(), "{complaints:?}");
        contract.unwrap()
    }

    const TEXT: &str = "name: orders\ncolumns:\n  id: {type: int}\nsql:\n- {name: few, query: 'SELECT COUNT(*) FROM ${object}', mustBeLessThan: 3}\n- {query: 'SELECT MAX(${column}) FROM orders', column: id, mustBeBetween: [1, 2]}\n";

    #[test]
    fn one_request_asks_all_and_limits_judge_the_answers() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("orders.csv");
        std::fs::write(&file, "id,note\n1,a\n2,\n").unwrap();
        let now = "2026-02-01T00:00:00Z".parse().unwrap();
        let table: [(Vec<Answer>, [Verdict; 2]); 4] = [
            (vec![Ok(2.0), Ok(2.0)], [Verdict::Pass, Verdict::Pass]),
            (vec![Ok(3.0), Ok(2.5)], [Verdict::Fail, Verdict::Fail]),
            (vec![Err("no".into()), Ok(1.0)], [Verdict::CannotTell, Verdict::Pass]),
            (vec![Ok(f64::NAN)], [Verdict::Fail, Verdict::CannotTell]),
        ];
        for (answers, expected) in table {
            let mut asked = Vec::new();
            let mut runner = |request: &Request| {
                asked.push(request.clone());
                answers.clone()
            };
            let report = run_with(
                &contract(TEXT),
                &Storage::local(&file),
                &Options::at(now),
                Some(&mut runner),
            )
            .unwrap();
            let found: Vec<Verdict> = ["few", "id.sql"]
                .map(|id| report.checks.iter().find(|check| check.id == id).unwrap().verdict)
                .to_vec();
            assert_eq!(found, expected, "{report}");
            let [request] = asked.as_slice() else {
                panic!("{asked:?}")
            };
            assert_eq!(request.names, ["orders"]);
            assert_eq!(
                request.queries,
                ["SELECT COUNT(*) FROM `orders`", "SELECT MAX(`id`) FROM orders"]
            );
            let columns = [
                ("id".to_owned(), "int".to_owned()),
                ("note".to_owned(), "string".to_owned()),
            ];
            assert_eq!(request.table.columns, columns);
            assert_eq!((request.table.format, request.table.base.as_ref()), ("csv", None));
        }
    }

    #[test]
    fn without_an_engine_nothing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("orders.csv");
        std::fs::write(&file, "id\n1\n").unwrap();
        let now = "2026-02-01T00:00:00Z".parse().unwrap();
        let report = crate::run(&contract(TEXT), &Storage::local(&file), &Options::at(now)).unwrap();
        let few = report.checks.iter().find(|check| check.id == "few").unwrap();
        assert_eq!(
            (few.verdict, few.reason.as_deref()),
            (Verdict::CannotTell, Some(NO_RUNNER))
        );
    }

    #[test]
    fn tables_that_an_engine_would_read_otherwise_are_not_given_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("twice/day=1/a.csv", "id,day\n1,2\n");
        write("types/a.csv", "id\n1\n");
        write("types/b.csv", "id\nx\n");
        write("tabs/a.csv", "id\n1\n");
        write("tabs/b.tsv", "id\n1\n");
        write("parts/day=1/a.csv", "id\n1\n");
        let made = |name: &str| {
            let storage = Storage::local(directory.path().join(name));
            let dataset = Dataset::open(&storage, &crate::data::OpenOptions::default()).unwrap();
            table(&dataset, &storage, &CsvOptions::default())
        };
        for (name, reason) in [
            ("twice", "in it and in its path"),
            ("types", "is bigint in one file and string in b.csv"),
            ("tabs", "are mixed"),
        ] {
            let told = made(name).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
        let parts = made("parts").unwrap();
        assert_eq!(parts.base, Some(directory.path().join("parts")));
        assert_eq!(parts.columns, [("id".to_owned(), "bigint".to_owned())]);
    }

    #[test]
    fn wrong_rules_are_told_at_their_place() {
        let table = [
            ("sql:\n- {mustBe: 0}\n", "missing-field"),
            ("sql:\n- {query: 'SELECT 1'}\n", "one-operator"),
            ("sql:\n- {query: 'SELECT 1', mustBe: 1, mustNotBe: 2}\n", "one-operator"),
            ("sql:\n- {query: 'SELECT 1', mustBee: 1}\n", "unknown-field"),
            ("sql:\n- {query: 'SELECT ${colum}', mustBe: 1}\n", "unknown-placeholder"),
            (
                "sql:\n- {query: 'SELECT ${column}', mustBe: 1}\n",
                "unknown-placeholder",
            ),
            ("sql:\n- {query: 'SELECT ${object', mustBe: 1}\n", "unknown-placeholder"),
        ];
        for (text, code) in table {
            let (contract, complaints) = contract::read(&Source::new("orders.yaml", text), None);
            assert!(contract.is_none(), "{text}");
            assert!(
                complaints.iter().any(|complaint| complaint.code == code),
                "{text}: {complaints:?}"
            );
        }
    }

    #[test]
    fn rules_of_the_standard_are_read() {
        let text = "kind: DataContract\napiVersion: v3.1.0\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: orders\n  physicalName: tbl_orders\n  properties:\n  - name: amount\n    physicalName: amt\n    quality:\n    - {type: sql, query: 'SELECT COUNT(*) FROM ${object} WHERE ${property} < 0', mustBe: 0}\n  quality:\n  - {type: sql, name: total, query: 'SELECT SUM(amt) FROM tbl_orders', mustNotBeBetween: [0, 10]}\n";
        let contract = contract(text);
        assert_eq!(contract.names, ["orders", "tbl_orders"]);
        let rules: Vec<(&str, &Kind)> = contract
            .checks
            .iter()
            .filter(|check| matches!(check.kind, Kind::Sql { .. }))
            .map(|check| (check.id.as_str(), &check.kind))
            .collect();
        let wanted = [
            ("amt.sql", "SELECT COUNT(*) FROM `orders` WHERE `amt` < 0", "= 0"),
            ("total", "SELECT SUM(amt) FROM tbl_orders", "outside 0 to 10"),
        ];
        assert_eq!(rules.len(), wanted.len());
        for ((id, kind), (wanted_id, wanted_query, wanted_limit)) in rules.into_iter().zip(wanted) {
            let Kind::Sql { query, limit } = kind else {
                unreachable!()
            };
            assert_eq!(
                (id, query.as_str(), limit.to_string().as_str()),
                (wanted_id, wanted_query, wanted_limit)
            );
        }
    }
}
