//! `CREATE` and `ALTER` of tables, views and databases.

use super::{INVALID, NOT_ALLOWED, Refusals, TWICE, begins, text_of, twice};
use crate::parsed::{Node, Piece};

/// Clauses that stand once, as nodes and as words.
const ONCE: [(&str, &str); 9] = [
    ("locationSpec", "LOCATION"),
    ("commentSpec", "COMMENT"),
    ("bucketSpec", "CLUSTERED BY"),
    ("clusterBySpec", "CLUSTER BY"),
    ("createFileFormat", "STORED AS"),
    ("rowFormat", "ROW FORMAT"),
    ("collationSpec", "DEFAULT COLLATION"),
    ("tableProvider", "USING"),
    ("schemaBinding", "WITH SCHEMA"),
];
const WORDS: [&str; 5] = ["OPTIONS", "PARTITIONED", "TBLPROPERTIES", "DBPROPERTIES", "PROPERTIES"];
/// Properties of tables that are clauses of their own.
const OF_TABLES: [&str; 5] = ["provider", "location", "owner", "external", "is_managed_location"];
/// Those of databases.
const OF_NAMESPACES: [&str; 2] = ["location", "owner"];

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "createTableClauses" => {
            once(node, found);
            clauses(node, found);
        }
        "statement" => statement(node, found),
        "propertyList" => properties(node, found),
        "expressionPropertyList" => {
            for property in node.kids() {
                if property.kids().count() == 1 && property.own().next().is_none() {
                    found.add(
                        property,
                        NOT_ALLOWED,
                        format!("the option {} needs a value", property.text()),
                    );
                }
            }
        }
        "bucketSpec" => buckets(node, found),
        "transform" => transform(node, found),
        "partitionFieldList" => {
            let typed = node.kids().filter(|field| field.kid("colType").is_some()).count();
            if typed > 0 && typed < node.kids().count() {
                found.add(
                    node,
                    NOT_ALLOWED,
                    "PARTITIONED BY names columns, or defines columns, not both",
                );
            }
        }
        "createFileFormat" if node.has("BY") => found.add(node, INVALID, "STORED BY is not supported"),
        "skewSpec" => found.add(node, INVALID, "SKEWED BY is not supported"),
        _ => {}
    }
}

fn once(node: Node<'_>, found: &mut Refusals) {
    for (rule, name) in ONCE {
        let mut all = node.kids().filter(|kid| kid.is(rule));
        if let (Some(_), Some(second)) = (all.next(), all.next()) {
            found.add(second, TWICE, format!("{name} stands here twice"));
        }
    }
    for kind in WORDS {
        if node.count(kind) > 1 {
            found.add(node, TWICE, format!("{kind} stands here twice"));
        }
    }
}

/// The lists of properties behind a word.
fn lists<'p>(node: Node<'p>, word: &str) -> Vec<Node<'p>> {
    let mut last = "";
    let mut found = Vec::new();
    for piece in node.pieces() {
        match piece {
            Piece::Token(token) => last = token.kind(),
            Piece::Node(kid) => {
                if last == word && matches!(kid.rule(), "propertyList" | "expressionPropertyList") {
                    found.push(kid);
                }
                last = "";
            }
        }
    }
    found
}

/// The keys of a list of properties.
fn keys(list: Node<'_>) -> Vec<String> {
    let key = |property: Node<'_>| {
        let key = property.kids().next()?;
        let text = key.words().next()?.text();
        match text.starts_with(['\'', '"']) {
            true => text_of(key),
            false => Some(
                key.text()
                    .split('.')
                    .map(|part| part.trim_matches('`'))
                    .collect::<Vec<_>>()
                    .join("."),
            ),
        }
    };
    list.kids().filter_map(key).collect()
}

fn reserved(node: Node<'_>, word: &str, keys_reserved: &[&str], condition: &'static str, found: &mut Refusals) {
    for list in lists(node, word) {
        if let Some(key) = keys(list).into_iter().find(|key| keys_reserved.contains(&key.as_str())) {
            found.add(
                list,
                condition,
                format!("`{key}` is not a property to be set: it has a clause of its own"),
            );
        }
    }
}

fn clauses(node: Node<'_>, found: &mut Refusals) {
    let table = "UNSUPPORTED_FEATURE.SET_TABLE_PROPERTY";
    reserved(node, "TBLPROPERTIES", &OF_TABLES, table, found);
    if node.version() >= (4, 0) {
        reserved(node, "TBLPROPERTIES", &["collation"], table, found);
    }
    options(node, |key| key.eq_ignore_ascii_case("path"), found);
    if let Some(location) = node.kid("locationSpec") {
        let path = |list: &Node<'_>| keys(*list).iter().any(|key| key.eq_ignore_ascii_case("path"));
        if lists(node, "OPTIONS").iter().any(path) {
            found.add(
                location,
                "DUPLICATE_TABLE_PATH",
                "the path is given twice: by LOCATION and by `path` in OPTIONS",
            );
        }
    }
    if let Some(cluster) = node.kid("clusterBySpec") {
        if node.has("PARTITIONED") {
            let condition = "SPECIFY_CLUSTER_BY_WITH_PARTITIONED_BY_IS_NOT_ALLOWED";
            found.add(cluster, condition, "CLUSTER BY and PARTITIONED BY exclude each other");
        }
        if node.kid("bucketSpec").is_some() {
            let condition = "SPECIFY_CLUSTER_BY_WITH_BUCKETING_IS_NOT_ALLOWED";
            found.add(
                cluster,
                condition,
                "CLUSTER BY and CLUSTERED BY … INTO … BUCKETS exclude each other",
            );
        }
    }
    formats(node, found);
}

/// A row format must go with the format of the file.
pub fn formats(node: Node<'_>, found: &mut Refusals) {
    let Some(rows) = node.kid("rowFormat") else { return };
    let Some(format) = node.kid("createFileFormat").and_then(|stored| stored.kid("fileFormat")) else {
        return;
    };
    if format.has("INPUTFORMAT") {
        return;
    }
    let name = format.text().to_lowercase();
    let fits = match rows.has("SERDE") {
        true => matches!(name.as_str(), "sequencefile" | "textfile" | "rcfile"),
        false => name == "textfile",
    };
    if !fits {
        let kind = if rows.has("SERDE") { "SERDE" } else { "DELIMITED" };
        found.add(
            rows,
            NOT_ALLOWED,
            format!("ROW FORMAT {kind} does not go with STORED AS {name}"),
        );
    }
}

fn statement(node: Node<'_>, found: &mut Refusals) {
    if let Some(header) = node.kid("createTableHeader").or_else(|| node.kid("replaceTableHeader")) {
        create_table(node, header, found);
    } else if begins(node, &["CREATE", "TABLE"]) {
        // … LIKE.
        once(node, found);
        formats(node, found);
        reserved(
            node,
            "TBLPROPERTIES",
            &OF_TABLES,
            "UNSUPPORTED_FEATURE.SET_TABLE_PROPERTY",
            found,
        );
        stored(node, node, found);
        if let Some(rows) = node.kid("rowFormat")
            && rows.has("SERDE")
            && node.kid("createFileFormat").is_none()
            && node.kid("tableProvider").is_none()
        {
            found.add(rows, NOT_ALLOWED, "ROW FORMAT goes with STORED AS");
        }
    } else if begins(node, &["CREATE"]) && node.has("VIEW") {
        view(node, found);
    } else if begins(node, &["CREATE"]) && node.kid("namespace").is_some() {
        once(node, found);
        namespace(node, found);
    } else if begins(node, &["ALTER"]) {
        alter(node, found);
    }
}

fn stored(statement: Node<'_>, clauses: Node<'_>, found: &mut Refusals) {
    if statement.kid("tableProvider").is_none() {
        return;
    }
    let other = clauses.kid("createFileFormat").or_else(|| clauses.kid("rowFormat"));
    if let Some(other) = other {
        found.add(other, INVALID, "USING excludes STORED AS and ROW FORMAT");
    }
}

fn create_table(node: Node<'_>, header: Node<'_>, found: &mut Refusals) {
    let clauses = node.kid("createTableClauses");
    let query = node.kid("query");
    if let Some(clauses) = clauses {
        stored(node, clauses, found);
    }
    let columns = node.kids().find(|kid| {
        matches!(
            kid.rule(),
            "tableElementList" | "createOrReplaceTableColTypeList" | "colDefinitionList" | "colTypeList"
        )
    });
    if let (Some(_), Some(columns)) = (query, columns) {
        found.add(
            columns,
            NOT_ALLOWED,
            "CREATE TABLE … AS SELECT takes its columns from the query, not from a list",
        );
    }
    let typed = clauses.and_then(|clauses| clauses.kid("partitionFieldList"));
    let typed = typed.and_then(|fields| fields.kids().find(|field| field.kid("colType").is_some()));
    if let (Some(_), Some(field)) = (query, typed) {
        found.add(
            field,
            NOT_ALLOWED,
            "CREATE TABLE … AS SELECT names partition columns without their types",
        );
    }
    if !header.has("TEMPORARY") {
        return;
    }
    if header.has("IF") {
        found.add(header, INVALID, "CREATE TEMPORARY TABLE takes no IF NOT EXISTS");
    } else if node.kid("tableProvider").is_none() {
        found.add(
            header,
            NOT_ALLOWED,
            "CREATE TEMPORARY TABLE needs USING; CREATE TEMPORARY VIEW is what is usually meant",
        );
    } else if query.is_some() {
        found.add(header, NOT_ALLOWED, "write CREATE TEMPORARY VIEW … AS SELECT");
    } else if header.has("EXTERNAL") {
        found.add(header, INVALID, "a temporary table is not EXTERNAL");
    } else if super::commands::is_qualified(
        header
            .kids()
            .find(|kid| kid.is("identifierReference") || kid.is("multipartIdentifier")),
    ) {
        found.add(
            header,
            "INVALID_TEMP_OBJ_QUALIFIER",
            "a temporary table is in no database",
        );
    } else if let Some(clauses) = clauses {
        options(clauses, |_| true, found);
    }
}

/// Options that are known while Spark parses are texts.
fn options(clauses: Node<'_>, looks: impl Fn(&str) -> bool, found: &mut Refusals) {
    for list in lists(clauses, "OPTIONS") {
        for property in list.kids() {
            let mut kids = property.kids();
            let (Some(key), Some(value)) = (kids.next(), kids.next()) else {
                continue;
            };
            let key = text_of(key).unwrap_or_else(|| key.name());
            if looks(&key) && text_of(value).is_none() && super::parameter(value).is_none() {
                let message = format!("the option `{key}` is a text in quotes");
                found.add(value, "INVALID_SQL_SYNTAX.OPTION_IS_INVALID", message);
            }
        }
    }
}

fn view(node: Node<'_>, found: &mut Refusals) {
    once(node, found);
    let temporary = node.has("TEMPORARY");
    if node.kid("tableProvider").is_some() {
        let name = node
            .kids()
            .find(|kid| matches!(kid.rule(), "tableIdentifier" | "identifierReference"));
        let global = node.has("GLOBAL") && name.and_then(Node::inner_name).is_some_and(|name| name.has("DOT"));
        if temporary && (global || super::commands::is_qualified(name)) {
            found.add(node, "INVALID_TEMP_OBJ_QUALIFIER", "a temporary view is in no database");
        }
        return;
    }
    if node.has("REPLACE") && node.has("IF") {
        let condition = "CREATE_VIEW_WITH_IF_NOT_EXISTS_AND_REPLACE";
        found.add(node, condition, "OR REPLACE and IF NOT EXISTS exclude each other");
    }
    if node.has("PARTITIONED") {
        found.add(node, INVALID, "a view is not PARTITIONED ON anything");
    }
    if let Some(marker) = node.below().into_iter().find(|node| {
        matches!(
            node.rule(),
            "namedParameterMarker" | "parameterMarker" | "posParameterMarker"
        ) || (node.is("constant") && (node.has("QUESTION") || node.has("COLON")))
    }) && node.version() < (4, 1)
    {
        let condition = "UNSUPPORTED_FEATURE.PARAMETER_MARKER_IN_UNEXPECTED_STATEMENT";
        found.add(marker, condition, "a view has no parameters");
    }
    if !temporary {
        return;
    }
    if node.has("IF") {
        found.add(
            node,
            NOT_ALLOWED,
            "a temporary view takes no IF NOT EXISTS: write OR REPLACE",
        );
    }
    let name = node
        .kids()
        .find(|kid| matches!(kid.rule(), "identifierReference" | "multipartIdentifier"));
    if super::commands::is_qualified(name) {
        found.add(
            node,
            "TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS",
            "a temporary view is in no database",
        );
    }
    if node.has("TBLPROPERTIES") {
        found.add(node, NOT_ALLOWED, "a temporary view has no TBLPROPERTIES");
    }
    if let Some(binding) = node.kid("schemaBinding") {
        let condition = "UNSUPPORTED_FEATURE.TEMPORARY_VIEW_WITH_SCHEMA_BINDING_MODE";
        found.add(binding, condition, "a temporary view takes no WITH SCHEMA");
    }
}

fn namespace(node: Node<'_>, found: &mut Refusals) {
    for word in ["PROPERTIES", "DBPROPERTIES"] {
        if node.version() >= (4, 1) {
            let condition = "UNSUPPORTED_FEATURE.SET_NAMESPACE_PROPERTY";
            reserved(node, word, &["collation"], condition, found);
        }
        reserved(
            node,
            word,
            &OF_NAMESPACES,
            "UNSUPPORTED_FEATURE.SET_NAMESPACE_PROPERTY",
            found,
        );
    }
    if node.has("PROPERTIES") && node.has("DBPROPERTIES") {
        let condition = "UNSUPPORTED_FEATURE.SET_PROPERTIES_AND_DBPROPERTIES";
        found.add(node, condition, "PROPERTIES and DBPROPERTIES are the same: write one");
    }
    collated(node, found);
}

/// Collations of databases are switched off.
fn collated(node: Node<'_>, found: &mut Refusals) {
    if let Some(collation) = node.kid("collationSpec").filter(|_| node.version() >= (4, 1)) {
        let condition = "UNSUPPORTED_FEATURE.SCHEMA_LEVEL_COLLATIONS";
        found.add(collation, condition, "a database has no collation of its own");
    }
}

/// Properties need values, but where they are taken away, and each key stands once.
fn properties(node: Node<'_>, found: &mut Refusals) {
    if let Some(key) = twice(keys(node)) {
        found.add(node, "DUPLICATE_KEY", format!("`{key}` is given twice"));
        return;
    }
    let unset = node.parent().is_some_and(|parent| parent.has("UNSET"));
    for property in node.kids() {
        let bare = property.kids().count() == 1 && !property.has("EQ");
        if bare != unset {
            let message = match unset {
                true => format!("{} is taken away: it has no value", property.text()),
                false => format!("the property {} needs a value", property.text()),
            };
            found.add(property, NOT_ALLOWED, message);
        }
    }
}

fn buckets(node: Node<'_>, found: &mut Refusals) {
    let descending = node
        .below()
        .into_iter()
        .find(|node| node.is("orderedIdentifier") && node.has("DESC"));
    if let Some(descending) = descending {
        found.add(descending, NOT_ALLOWED, "buckets are sorted ASC only");
    }
    let number = node.words().rfind(|word| word.kind() == "INTEGER_VALUE");
    match number.map(|number| number.text()).map(|text| text.parse::<i32>()) {
        Some(Ok(0)) => found.add(node, "INVALID_BUCKET_COUNT", "there must be a bucket at least"),
        Some(Err(_)) => found.add(node, "NUMBER_FORMAT", "there are too many buckets"),
        _ => {}
    }
}

/// `PARTITIONED BY (bucket(4, a), days(b))`.
fn transform(node: Node<'_>, found: &mut Refusals) {
    let Some(name) = node.kid("identifier").map(|name| name.name().to_lowercase()) else {
        return;
    };
    let arguments: Vec<Node<'_>> = node.all("transformArgument").collect();
    let reference = |argument: &Node<'_>| argument.kid("qualifiedName").is_some();
    let not_a_column = |argument: Node<'_>, found: &mut Refusals| {
        let message = format!("`{name}` takes columns here, not {}", argument.text());
        found.add(argument, "INVALID_SQL_SYNTAX.INVALID_COLUMN_REFERENCE", message);
    };
    match name.as_str() {
        "bucket" => {
            let Some((first, others)) = arguments.split_first() else {
                return;
            };
            let whole = |kind: &str| {
                matches!(
                    kind,
                    "INTEGER_VALUE" | "BIGINT_LITERAL" | "SMALLINT_LITERAL" | "TINYINT_LITERAL" | "MINUS"
                )
            };
            let whole = first.words().all(|word| whole(word.kind()));
            if !whole {
                found.add(
                    *first,
                    "INVALID_BUCKET_COUNT",
                    "`bucket` takes a number of buckets first",
                );
            } else if let Some(other) = others.iter().find(|argument| !reference(argument)) {
                not_a_column(*other, found);
            }
        }
        "identity" | "years" | "months" | "days" | "hours" => {
            if arguments.len() > 1 {
                let message = format!("`{name}` takes one column, not {}", arguments.len());
                found.add(node, "INVALID_SQL_SYNTAX.TRANSFORM_WRONG_NUM_ARGS", message);
            } else if let Some(argument) = arguments.first().filter(|argument| !reference(argument)) {
                not_a_column(*argument, found);
            }
        }
        _ => {}
    }
}

fn last_name(node: Node<'_>) -> String {
    let name = node.all("errorCapturingIdentifier").last();
    name.map(Node::name).unwrap_or_default()
}

fn alter(node: Node<'_>, found: &mut Refusals) {
    let view = node.own().nth(1).is_some_and(|word| word.kind() == "VIEW");
    let partition = node
        .kids()
        .any(|kid| matches!(kid.rule(), "partitionSpec" | "partitionSpecLocation"));
    if view && partition && (node.has("ADD") || node.has("DROP")) {
        found.add(node, INVALID, "a view has no partitions");
    }
    if node.kid("namespace").is_some() {
        namespace(node, found);
    } else {
        let condition = "UNSUPPORTED_FEATURE.SET_TABLE_PROPERTY";
        reserved(node, "TBLPROPERTIES", &OF_TABLES, condition, found);
        reserved(node, "EXISTS", &OF_TABLES, condition, found);
        if node.version() >= (4, 0) {
            reserved(node, "TBLPROPERTIES", &["collation"], condition, found);
        }
    }
    if node.has("REPLACE") && node.has("COLUMNS") && partition {
        found.add(node, INVALID, "REPLACE COLUMNS takes no PARTITION");
    }
    let hive = node.kid("colType").filter(|_| node.has("CHANGE") || node.has("ALTER"));
    if let Some(column) = hive {
        let condition = "UNSUPPORTED_HIVE_STYLE";
        if partition {
            found.add(node, INVALID, "CHANGE COLUMN takes no PARTITION");
        }
        let old = node.kid("multipartIdentifier").map(last_name).unwrap_or_default();
        let new = column
            .kid("errorCapturingIdentifier")
            .map(Node::name)
            .unwrap_or_default();
        if !old.eq_ignore_ascii_case(&new) {
            found.add(
                column,
                condition,
                "CHANGE COLUMN gives no other name: use RENAME COLUMN",
            );
        }
        if column.has("NOT") || column.kid("errorCapturingNot").is_some() {
            found.add(
                column,
                condition,
                "CHANGE COLUMN takes no NOT NULL: use ALTER COLUMN … SET NOT NULL",
            );
        }
        return;
    }
    let nothing = match node.kid("alterColumnSpecList") {
        Some(list) => list
            .all("alterColumnSpec")
            .find(|spec| spec.kid("alterColumnAction").is_none()),
        None => {
            let columns = node.count("ALTER") == 2 || node.has("CHANGE");
            let none = columns && node.kid("multipartIdentifier").is_some() && node.kid("alterColumnAction").is_none();
            none.then_some(node)
        }
    };
    if let Some(nothing) = nothing {
        found.add(
            nothing,
            NOT_ALLOWED,
            "ALTER COLUMN says what is to change: TYPE, SET, DROP, COMMENT, FIRST or AFTER",
        );
    }
}
