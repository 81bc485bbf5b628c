//! Tables and columns that queries name, against what is known of them.
//!
//! A column is told only where every table it could be of is known with its columns: one that is not (a view of the program, a function, `PIVOT`) makes all
//! names around it possible.

use std::collections::BTreeMap;

use stoke_sql::{Node, Parsed, Piece};

use super::schema::{Columns, Schema, table_name};

/// A name that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Stable name.
    pub code: &'static str,
    /// The character it stands at.
    pub at: usize,
    /// What is wrong and why.
    pub message: String,
    /// What is meant, as far as it can be told.
    pub fix: Option<String>,
}

/// Names that Spark gives a meaning where they stand alone.
const OWN: [&str; 14] = [
    "current_date",
    "current_timestamp",
    "current_time",
    "current_user",
    "user",
    "session_user",
    "current_catalog",
    "current_database",
    "current_schema",
    "localtimestamp",
    "grouping__id",
    "window",
    "session_window",
    "_metadata",
];

/// A table in a `FROM`.
#[derive(Clone, Debug)]
struct Relation {
    /// How it is called: an alias, or its parts.
    name: Vec<String>,
    columns: Columns,
}

/// What names can be of.
struct Scope<'s> {
    relations: Vec<Relation>,
    /// Other names that hold here: aliases, parameters of lambdas.
    others: Vec<String>,
    outer: Option<&'s Scope<'s>>,
}

struct Look<'s> {
    schema: &'s Schema,
    found: Vec<Unknown>,
}

/// Queries of `WITH` by name.
type With = BTreeMap<String, Columns>;

/// The names of a statement that stand for nothing.
pub fn unknown(parsed: &Parsed<'_>, schema: &Schema) -> Vec<Unknown> {
    let mut look = Look {
        schema,
        found: Vec::new(),
    };
    let Some(root) = parsed.root() else { return Vec::new() };
    if schema.is_empty() {
        return Vec::new();
    }
    let statement = root.below().into_iter().find(|node| node.rule() == "statement");
    // A compound statement has variables, which may stand wherever columns do.
    let compound = root.below().iter().any(|node| node.rule() == "compoundBody");
    if let Some(statement) = statement.filter(|_| !compound) {
        look.statement(statement);
    }
    look.found.sort_by_key(|unknown| unknown.at);
    look.found.dedup();
    look.found
}

impl Look<'_> {
    fn statement(&mut self, node: Node<'_>) {
        let mut with = With::new();
        let holders = [Some(node), node.kid("dmlStatementNoWith")];
        for holder in holders.into_iter().flatten() {
            if let Some(insert) = holder.kid("insertInto") {
                self.insert(insert);
            }
            if let Some(ctes) = holder.kid("ctes") {
                self.with(ctes, &mut with, None);
            }
            let changes = |kind: &str| matches!(kind, "UPDATE" | "DELETE" | "MERGE");
            if holder.own().next().is_some_and(|word| changes(word.kind())) {
                self.change(holder, &with);
                continue;
            }
            for query in holder.kids().filter(|kid| kid.rule() == "query") {
                self.query(query, &with, None);
            }
        }
    }

    /// The columns an `INSERT` names.
    fn insert(&mut self, node: Node<'_>) {
        let Some(name) = table_name(node) else { return };
        self.table(node, &name);
        let (Some(columns), Some(list)) = (self.schema.columns(&name), node.kid("identifierList")) else {
            return;
        };
        let names = list
            .below()
            .into_iter()
            .filter(|node| node.rule() == "errorCapturingIdentifier");
        for written in names {
            if !columns.contains(&written.name().to_lowercase()) {
                self.column(written, &written.name(), &[&name], &columns);
            }
        }
    }

    /// The names in `UPDATE`, `DELETE` and `MERGE`: what is set is of the target, all else of the target and the source.
    fn change(&mut self, node: Node<'_>, with: &With) {
        let mut scope = Scope {
            relations: Vec::new(),
            others: vec!["default".to_owned()],
            outer: None,
        };
        let mut parts = Vec::new();
        for kid in node.kids() {
            match kid.rule() {
                "identifierReference" | "multipartIdentifier" => {
                    let name = kid.inner_name().map(names_of).unwrap_or_default();
                    let table = name.join(".");
                    // The target is a table, the source may be of `WITH`.
                    let known = with.get(&table).filter(|_| !scope.relations.is_empty());
                    let columns = match known {
                        Some(columns) => columns.clone(),
                        None => {
                            if !table.is_empty() {
                                self.table(kid, &table);
                            }
                            self.schema.columns(&table)
                        }
                    };
                    scope.relations.push(Relation { name, columns });
                }
                "query" => {
                    let columns = self.query(kid, with, None);
                    scope.relations.push(Relation {
                        name: Vec::new(),
                        columns,
                    });
                }
                "relationPrimary" => {
                    let relation = self.relation(kid, with, &scope);
                    scope.relations.push(relation);
                }
                "tableAlias" => {
                    let alias = kid.kid("strictIdentifier").map(|name| name.name().to_lowercase());
                    if let (Some(alias), Some(last)) = (alias, scope.relations.last_mut()) {
                        last.name = vec![alias];
                    }
                }
                "ctes" => {}
                _ => parts.push(kid),
            }
        }
        // With schema evolution a MERGE may name columns that are yet to come.
        let evolves = node.own().any(|word| word.kind() == "EVOLUTION");
        let target = Scope {
            relations: scope.relations.iter().take(1).cloned().collect(),
            others: Vec::new(),
            outer: None,
        };
        for part in parts {
            self.names(part, with, &scope);
            for set in own_below(part) {
                let keys: Vec<Node<'_>> = match set.rule() {
                    "assignment" => set.kids().next().into_iter().collect(),
                    "multipartIdentifierList" => set.kids().collect(),
                    _ => continue,
                };
                for key in keys.into_iter().filter(|_| !evolves) {
                    let names: Vec<String> = key
                        .kids()
                        .filter(|kid| kid.rule() == "errorCapturingIdentifier")
                        .map(Node::name)
                        .collect();
                    if !names.is_empty() {
                        self.name(key, &names, &target);
                    }
                }
            }
        }
    }

    fn table(&mut self, node: Node<'_>, name: &str) {
        let Some(meant) = self.schema.meant(name) else { return };
        let reference = node.kids().find(|kid| kid.rule().ends_with("dentifierReference"));
        self.found.push(Unknown {
            code: "sql-unknown-table",
            at: reference.unwrap_or(node).at(),
            message: format!("no table `{name}` is known; the job knows `{meant}`"),
            fix: Some(format!("did you mean `{meant}`?")),
        });
    }

    fn column(&mut self, node: Node<'_>, name: &str, tables: &[&str], columns: &[String]) {
        let candidates = columns.iter().map(String::as_str);
        let nearest = stoke_model::manifest::nearest(&name.to_lowercase(), candidates);
        self.found.push(Unknown {
            code: "sql-unknown-column",
            at: node.at(),
            message: match tables {
                [] => format!("no column `{name}` is here"),
                tables => format!("no column `{name}` is in {}", tables.join(", ")),
            },
            fix: Some(match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "the columns are {}",
                    columns
                        .iter()
                        .take(20)
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }),
        });
    }

    fn with(&mut self, ctes: Node<'_>, with: &mut With, outer: Option<&Scope<'_>>) {
        for query in ctes.kids().filter(|kid| kid.rule() == "namedQuery") {
            let Some(name) = query.kids().next().map(|name| name.name().to_lowercase()) else {
                continue;
            };
            let listed = query.kid("identifierList").map(names_of);
            if ctes.own().any(|word| word.kind().starts_with("RECURSIVE")) {
                with.insert(name.clone(), listed.clone());
            }
            let columns = query.kid("query").and_then(|query| self.query(query, with, outer));
            with.insert(name, listed.or(columns));
        }
    }

    fn query(&mut self, node: Node<'_>, with: &With, outer: Option<&Scope<'_>>) -> Columns {
        let mut with = with.clone();
        if let Some(ctes) = node.kid("ctes") {
            self.with(ctes, &mut with, outer);
        }
        self.term(node.kid("queryTerm")?, &with, outer)
    }

    fn term(&mut self, node: Node<'_>, with: &With, outer: Option<&Scope<'_>>) -> Columns {
        // What stands behind `|>` names the columns of the step before.
        if node.kid("operatorPipeRightSide").is_some() {
            return None;
        }
        let mut first = None;
        for (index, kid) in node.kids().enumerate() {
            let columns = match kid.rule() {
                "queryTerm" => self.term(kid, with, outer),
                "queryPrimary" => self.primary(kid, with, outer),
                _ => None,
            };
            if index == 0 {
                first = columns;
            }
        }
        first
    }

    fn primary(&mut self, node: Node<'_>, with: &With, outer: Option<&Scope<'_>>) -> Columns {
        let kid = node.kids().next()?;
        match kid.rule() {
            "querySpecification" => self.select(kid, with, outer),
            "query" => self.query(kid, with, outer),
            _ => None,
        }
    }

    fn select(&mut self, node: Node<'_>, with: &With, outer: Option<&Scope<'_>>) -> Columns {
        let select = node.kid("selectClause")?;
        let mut scope = Scope {
            relations: Vec::new(),
            others: Vec::new(),
            outer,
        };
        if let Some(from) = node.kid("fromClause") {
            self.from(from, with, &mut scope);
        }
        for view in views(node) {
            scope.relations.push(lateral(view));
        }
        for each in own_below(node) {
            // `x -> x + 1`, `(k, v) -> v`.
            if each.own().any(|word| word.kind() == "ARROW") {
                scope.others.extend(
                    each.kids()
                        .filter(|kid| kid.rule() == "identifier")
                        .map(|name| name.name().to_lowercase()),
                );
            }
        }
        let items: Vec<Node<'_>> = select
            .kid("namedExpressionSeq")
            .map(|list| list.kids().collect())
            .unwrap_or_default();
        let outputs = self.outputs(&items, &scope);
        // A condition sees the tables; what is selected, grouped and ordered sees the aliases too.
        for part in node
            .kids()
            .filter(|kid| matches!(kid.rule(), "fromClause" | "whereClause" | "lateralView"))
        {
            self.names(part, with, &scope);
        }
        let aliases = items.iter().filter_map(|item| item.kid("errorCapturingIdentifier"));
        scope.others.extend(aliases.map(|alias| alias.name().to_lowercase()));
        for list in items.iter().filter_map(|item| item.kid("identifierList")) {
            scope.others.extend(names_of(list));
        }
        for part in node
            .kids()
            .filter(|kid| !matches!(kid.rule(), "fromClause" | "whereClause" | "lateralView"))
        {
            self.names(part, with, &scope);
        }
        outputs
    }

    fn outputs(&self, items: &[Node<'_>], scope: &Scope<'_>) -> Columns {
        let mut columns = Vec::new();
        for item in items {
            if let Some(list) = item.kid("identifierList") {
                columns.extend(names_of(list));
            } else if let Some(alias) = item.kid("errorCapturingIdentifier") {
                columns.push(alias.name().to_lowercase());
            } else if item.text() == "*" {
                for relation in &scope.relations {
                    columns.extend(relation.columns.clone()?);
                }
            } else {
                let inner = item.inner();
                let reference = item.below().into_iter().find(|node| node.rule() == "primaryExpression");
                let parts = reference
                    .filter(|node| node.text() == item.text())
                    .map(parts_of)
                    .unwrap_or_default();
                match parts.last() {
                    Some(last) => columns.push(last.to_lowercase()),
                    // What has no name cannot be named; what is more than one column cannot be determined.
                    None if inner.text().contains('*') || item.text().contains('(') => return None,
                    None => {}
                }
            }
        }
        Some(columns)
    }

    fn from(&mut self, node: Node<'_>, with: &With, scope: &mut Scope<'_>) {
        for relation in own_below(node) {
            match relation.rule() {
                "relationPrimary" => {
                    let relation = self.relation(relation, with, scope);
                    scope.relations.push(relation);
                }
                "pivotClause" | "unpivotClause" => scope.relations.push(Relation {
                    name: Vec::new(),
                    columns: None,
                }),
                _ => {}
            }
        }
        for view in views(node) {
            scope.relations.push(lateral(view));
        }
    }

    fn relation(&mut self, node: Node<'_>, with: &With, scope: &Scope<'_>) -> Relation {
        let inner = node
            .kids()
            .find(|kid| matches!(kid.rule(), "functionTable" | "inlineTable"));
        let alias = inner.unwrap_or(node).kid("tableAlias");
        let name = alias
            .and_then(|alias| alias.kid("strictIdentifier"))
            .map(|name| vec![name.name().to_lowercase()]);
        let listed = alias.and_then(|alias| alias.kid("identifierList")).map(names_of);
        let mut own = Vec::new();
        let columns = if let Some(query) = node.kid("query") {
            self.query(query, with, Some(scope))
        } else if let Some(table) = table_name(node) {
            own = table.split('.').map(str::to_owned).collect();
            match with.get(&table) {
                Some(columns) => columns.clone(),
                None => {
                    self.table(node, &table);
                    self.schema.columns(&table)
                }
            }
        } else if node.kid("relation").is_some() {
            // `(a JOIN b)`: its tables are in the scope by themselves, unless they are given another name.
            let none = name.is_none().then(Vec::new);
            return Relation {
                name: name.unwrap_or_default(),
                columns: none,
            };
        } else {
            None
        };
        Relation {
            name: name.unwrap_or(own),
            columns: listed.or(columns),
        }
    }

    /// Looks at the names in a part of a query, and at the queries in it.
    fn names(&mut self, node: Node<'_>, with: &With, scope: &Scope<'_>) {
        for each in own_below(node) {
            match each.rule() {
                // Those in a FROM were looked at with it.
                "query" if each.parent().is_none_or(|parent| parent.rule() != "relationPrimary") => {
                    self.query(each, with, Some(scope));
                }
                "primaryExpression" => {
                    let parts = parts_of(each);
                    if !parts.is_empty() {
                        self.name(each, &parts, scope);
                    }
                }
                _ => {}
            }
        }
    }

    fn name(&mut self, node: Node<'_>, parts: &[String], scope: &Scope<'_>) {
        let lower: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        if OWN.contains(&lower[0].as_str()) || lower[0].starts_with('_') {
            return;
        }
        let mut around = Some(scope);
        while let Some(here) = around {
            if here.others.contains(&lower[0]) {
                return;
            }
            for relation in &here.relations {
                let Some(columns) = &relation.columns else { return };
                if columns.contains(&lower[0]) {
                    return;
                }
                // `t.a`, `db.t.a`, and `t.a.field`.
                let full = &relation.name;
                for length in 1..lower.len().min(full.len() + 1) {
                    if full.ends_with(&lower[..length]) && columns.contains(&lower[length]) {
                        return;
                    }
                }
            }
            around = here.outer;
        }
        // With no table at all it is a variable, or a mistake of another kind.
        if scope.relations.is_empty() {
            return;
        }
        let qualifier = lower.len().checked_sub(2).map(|index| &lower[index]);
        let named = |relation: &&Relation| qualifier.is_none_or(|name| relation.name.last() == Some(name));
        let of: Vec<&Relation> = scope.relations.iter().filter(named).collect();
        let of = if of.is_empty() {
            scope.relations.iter().collect()
        } else {
            of
        };
        let tables: Vec<String> = of
            .iter()
            .map(|relation| relation.name.join("."))
            .filter(|name| !name.is_empty())
            .collect();
        let columns: Vec<String> = of
            .iter()
            .filter_map(|relation| relation.columns.clone())
            .flatten()
            .collect();
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        self.column(node, &parts.join("."), &tables, &columns);
    }
}

/// What is below a node, without what queries in it have; the queries themselves are among it.
fn own_below(node: Node<'_>) -> Vec<Node<'_>> {
    let (mut found, mut waiting) = (Vec::new(), vec![node]);
    let mut first = true;
    while let Some(node) = waiting.pop() {
        found.push(node);
        if first || node.rule() != "query" {
            let kids: Vec<Node<'_>> = node.kids().collect();
            waiting.extend(kids.into_iter().rev());
        }
        first = false;
    }
    found
}

fn views(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.kids().filter(|kid| kid.rule() == "lateralView")
}

/// `LATERAL VIEW explode(a) t AS b`.
fn lateral(node: Node<'_>) -> Relation {
    let mut names = node
        .kids()
        .filter(|kid| kid.rule() == "identifier")
        .map(|name| name.name().to_lowercase());
    let name: Vec<String> = names.next().into_iter().collect();
    let columns: Vec<String> = names.collect();
    Relation {
        name,
        columns: (!columns.is_empty()).then_some(columns),
    }
}

fn names_of(list: Node<'_>) -> Vec<String> {
    let names = list
        .below()
        .into_iter()
        .filter(|node| node.rule() == "errorCapturingIdentifier");
    names.map(|name| name.name().to_lowercase()).collect()
}

/// The parts of a name that an expression is: `a`, `t.a`, `t.a.field`; none for what is not a name.
fn parts_of(node: Node<'_>) -> Vec<String> {
    let (mut parts, mut dot) = (Vec::new(), true);
    for piece in node.pieces() {
        match piece {
            Piece::Node(kid) if dot && kid.rule() == "identifier" => {
                parts.push(kid.name());
                dot = false;
            }
            Piece::Token(word) if !dot && word.kind() == "DOT" => dot = true,
            Piece::Token(word) if word.kind() == "ARROW" => return Vec::new(),
            // `a.b[0]`, `v:path`: what stands before is a name.
            _ => break,
        }
    }
    parts
}
