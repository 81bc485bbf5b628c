//! What is known of tables: from `CREATE TABLE` in the job's own SQL, and from data contracts beside it.
//!
//! A table is known with its columns only where nothing in the job could make them others: `ALTER TABLE`, two definitions that differ, or a definition without
//! columns leave them unknown, and of what is unknown nothing is told.

use std::collections::BTreeMap;

use stoke_diagnostics::Source;
use stoke_model::manifest::{self, Node as Yaml};
use stoke_sql::{Node, Parsed};

use super::scan::{Kind, Token};

/// Columns of a table, in lower case; `None` where they are not known.
pub type Columns = Option<Vec<String>>;

/// Tables by their names in lower case, as they are written, parts joined by dots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    tables: BTreeMap<String, Columns>,
    /// Whether names of one part may be views that the program makes.
    views: bool,
}

impl Schema {
    /// Adds a table. One that is there already with other columns has unknown ones from then on.
    pub fn add(&mut self, name: &str, columns: Columns) {
        let columns = columns.map(|columns| columns.iter().map(|column| column.to_lowercase()).collect());
        self.tables
            .entry(name.to_lowercase())
            .and_modify(|known| {
                if *known != columns {
                    *known = None;
                }
            })
            .or_insert(columns);
    }

    /// From now on names of one part say nothing: a program makes views, or changes the database.
    pub fn has_views(&mut self) {
        self.views = true;
    }

    /// True when nothing is known.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The columns of a table; `None` where it, or they, are not known.
    pub fn columns(&self, name: &str) -> Columns {
        if self.views && !name.contains('.') {
            return None;
        }
        self.tables.get(name).cloned().flatten()
    }

    /// The known table of the same database that a name is most probably meant to be: one letter too many, too few, another, or two in each other's place. A job
    /// seldom names all tables of a database, so a name that is like no other says nothing; and tables may be numbered.
    pub fn meant(&self, name: &str) -> Option<&str> {
        let one_part = !name.contains('.');
        if self.tables.contains_key(name) || (self.views && one_part) {
            return None;
        }
        let split = |name: &str| {
            name.rsplit_once('.')
                .map_or((String::new(), name.to_owned()), |(db, table)| {
                    (db.to_owned(), table.to_owned())
                })
        };
        let (database, table) = split(name);
        let like = |known: &&String| {
            let (its_database, its_table) = split(known);
            its_database == database && is_slip(&table, &its_table)
        };
        self.tables.keys().find(like).map(String::as_str)
    }

    /// Adds what the statements of a text define. Names they change have unknown columns.
    pub fn add_statement(&mut self, parsed: &Parsed<'_>) {
        for node in parsed.nodes().filter(|node| node.rule() == "statement") {
            self.define(node);
        }
    }

    fn define(&mut self, node: Node<'_>) {
        let first = node.words().next().map_or("", |word| word.kind());
        if first == "USE" {
            self.has_views();
        }
        if let Some(name) = node
            .kid("createTableHeader")
            .or_else(|| node.kid("replaceTableHeader"))
            .and_then(table_name)
        {
            let columns = if node.kid("query").is_some() {
                None
            } else {
                columns_of(node)
            };
            self.add(&name, columns);
            return;
        }
        let of_table = node.own().any(|word| matches!(word.kind(), "TABLE" | "VIEW"));
        if matches!(first, "ALTER" | "CREATE" | "REPLACE")
            && of_table
            && let Some(name) = table_name(node)
        {
            self.tables.insert(name, None);
        }
    }
}

/// Whether a statement may define or change a table, by its words: others need not be parsed for it.
pub fn may_define(text: &[char], tokens: &[Token]) -> bool {
    let is = |token: &Token, word: &str| {
        let written = &text[token.from..token.to];
        written.len() == word.len()
            && written
                .iter()
                .zip(word.chars())
                .all(|(c, w)| c.eq_ignore_ascii_case(&w))
    };
    let words = tokens.iter().filter(|token| token.kind == Kind::Word);
    words
        .into_iter()
        .any(|token| ["CREATE", "REPLACE", "ALTER", "USE"].iter().any(|word| is(token, word)))
}

/// The name of a table a node names, in lower case.
pub fn table_name(node: Node<'_>) -> Option<String> {
    let reference = node.kids().find(|kid| {
        matches!(
            kid.rule(),
            "identifierReference" | "temporalTableIdentifierReference" | "multipartIdentifier" | "tableIdentifier"
        )
    })?;
    let name = reference.inner_name()?;
    let parts: Vec<String> = name
        .kids()
        .filter(|kid| kid.rule() == "errorCapturingIdentifier")
        .map(|part| part.name().to_lowercase())
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

/// The columns a `CREATE TABLE` defines, those of its partitions too.
fn columns_of(node: Node<'_>) -> Columns {
    let list = node.kids().find(|kid| {
        matches!(
            kid.rule(),
            "tableElementList" | "createOrReplaceTableColTypeList" | "colDefinitionList" | "colTypeList"
        )
    })?;
    let clauses = node.kid("createTableClauses");
    let fields = clauses.and_then(|clauses| clauses.kid("partitionFieldList"));
    let defined = |node: &Node<'_>| matches!(node.rule(), "colDefinition" | "createOrReplaceTableColType" | "colType");
    let all = list
        .below()
        .into_iter()
        .chain(fields.map(Node::below).unwrap_or_default());
    // A column within a column is another rule's.
    let names = all
        .filter(defined)
        .filter_map(|column| column.kids().next())
        .map(|name| name.name().to_lowercase());
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then_some(names)
}

/// The tables of a data contract (`kind: DataContract` of the Open Data Contract Standard): objects with the names of their properties.
pub fn of_contract(source: &Source, schema: &mut Schema) {
    let text = source.text();
    if !text.contains("DataContract") || !text.contains("schema") {
        return;
    }
    let (documents, complaints) = manifest::read(source);
    if stoke_diagnostics::has_errors(&complaints) {
        return;
    }
    let text = |node: &Yaml, key: &str| node.get(key).and_then(Yaml::as_str).map(str::to_owned);
    for document in documents
        .iter()
        .filter(|document| text(document, "kind").as_deref() == Some("DataContract"))
    {
        for object in document.get("schema").map(Yaml::items).unwrap_or_default() {
            let properties = object.get("properties").map(Yaml::items).unwrap_or_default();
            let named = |property: &Yaml| text(property, "physicalName").or_else(|| text(property, "name"));
            let columns: Option<Vec<String>> = properties.iter().map(named).collect();
            if let Some(name) = text(object, "physicalName").or_else(|| text(object, "name")) {
                schema.add(&name, columns.filter(|columns| !columns.is_empty()));
            }
        }
    }
}

/// Whether one word is another with one slip of the hand, and not another number.
fn is_slip(written: &str, meant: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (written.chars().collect(), meant.chars().collect());
    if one.len().min(other.len()) < 4 || one == other {
        return false;
    }
    let start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = |word: &[char]| word[start..].to_vec();
    let (one, other) = (rest(&one), rest(&other));
    let end = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (one, other) = (&one[..one.len() - end], &other[..other.len() - end]);
    let letters = |word: &[char]| word.iter().all(|c| c.is_alphabetic());
    // One `s` more is another table as often as a slip.
    let plural = end == 0 && one.len() + other.len() == 1 && (one == ['s'] || other == ['s']);
    let swapped = || one.len() == 2 && other.len() == 2 && one[0] == other[1] && one[1] == other[0];
    letters(one) && letters(other) && !plural && (one.len().max(other.len()) == 1 || swapped())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_may_define_a_table() {
        let may = |text: &str| {
            let text: Vec<char> = text.chars().collect();
            let tokens = crate::gates::sql::scan::tokens(&text).unwrap_or_default();
            may_define(&text, &tokens)
        };
        for text in [
            "create table t (a int)",
            "EXPLAIN Replace TABLE t",
            "BEGIN ALTER TABLE t",
            "USE db",
        ] {
            assert!(may(text), "{text}");
        }
        for text in [
            "SELECT created FROM t",
            "SELECT 'create'",
            "SELECT `use` -- create",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(!may(text), "{text}");
        }
    }

    #[test]
    fn slips_and_other_names() {
        for (written, meant) in [
            ("slaes", "sales"),
            ("custmers", "customers"),
            ("orderss", "orders"),
            ("0rders", "orders"),
        ] {
            assert_eq!(
                is_slip(written, meant),
                written != "0rders" && written != "orderss",
                "{written}"
            );
        }
        for (written, meant) in [
            ("sales_2024", "sales_2025"),
            ("orders", "order"),
            ("sales", "sales"),
            ("a", "b"),
            ("stores", "scores_x"),
        ] {
            assert!(!is_slip(written, meant), "{written} {meant}");
        }
    }

    #[test]
    fn what_is_said_twice_in_two_ways_is_not_known() {
        let mut schema = Schema::default();
        schema.add("lake.Sales", Some(vec!["Id".to_owned()]));
        assert_eq!(schema.columns("lake.sales"), Some(vec!["id".to_owned()]));
        assert_eq!(schema.meant("lake.slaes"), Some("lake.sales"));
        assert_eq!(schema.meant("other.slaes"), None);
        schema.add("lake.sales", None);
        assert_eq!(schema.columns("lake.sales"), None);
    }

    #[test]
    fn contracts_name_tables() {
        let text = "kind: DataContract\napiVersion: v3.0.0\nschema:\n- name: orders\n  physicalName: lake.orders\n  properties:\n  - name: id\n  - name: amount\n    physicalName: amt\n";
        let mut schema = Schema::default();
        of_contract(&Source::new("c.yaml", text), &mut schema);
        assert_eq!(
            schema.columns("lake.orders"),
            Some(vec!["id".to_owned(), "amt".to_owned()])
        );
    }
}
