//! Data types and collations.

use super::Refusals;
use crate::parsed::Node;

/// Types that take one length.
const SIZED: [&str; 3] = ["CHAR", "CHARACTER", "VARCHAR"];
/// Types that take a precision and a scale.
const DECIMALS: [&str; 3] = ["DECIMAL", "DEC", "NUMERIC"];
/// Types that take no number.
const PLAIN: [&str; 22] = [
    "BOOLEAN",
    "TINYINT",
    "BYTE",
    "SMALLINT",
    "SHORT",
    "INT",
    "INTEGER",
    "BIGINT",
    "LONG",
    "FLOAT",
    "REAL",
    "DOUBLE",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "TIMESTAMP_LTZ",
    "STRING",
    "BINARY",
    "VOID",
    "VARIANT",
    "INTERVAL",
    "NULL",
];
/// Types people know from elsewhere, and what they are called here.
const ELSEWHERE: [(&str, &str); 12] = [
    ("TEXT", "STRING"),
    ("NVARCHAR", "STRING"),
    ("CLOB", "STRING"),
    ("UUID", "STRING"),
    ("JSON", "STRING"),
    ("BOOL", "BOOLEAN"),
    ("DATETIME", "TIMESTAMP"),
    ("TIMESTAMPTZ", "TIMESTAMP"),
    ("NUMBER", "DECIMAL"),
    ("INT64", "BIGINT"),
    ("FLOAT64", "DOUBLE"),
    ("BLOB", "BINARY"),
];

/// Units of interval types, the longest first.
const UNITS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];

/// Locales that have a collation, as `collations()` of Spark 4.0 and 4.3 lists them.
const LOCALES: &str = "AF AM AR AR_SAU AS AZ BE BG BLO BN BO BR BS BS_CYRL CA CEB CHR CS CY DA DE DE_AUT DSB DZ EE EL EN EN_USA EO ES ET FA FA_AFG FF FF_ADLM FI FIL FO \
     FR FR_CAN FY GA GL GU HA HAW HE HE_ISR HI HR HSB HU HY ID ID_IDN IG IS IT JA KA KK KK_ARAB KL KM KN KO KOK KU KY LB LIJ LKT LN LO LT LV MK ML MN \
     MR MS MT MY NB NB_NOR NE NL NN NO NSO OM OR PA PA_GURU PA_GURU_IND PL PS PT RO RU SA SE SI SK SL SMN SQ SR SR_CYRL SR_CYRL_BIH SR_CYRL_MNE \
     SR_CYRL_SRB SR_LATN SR_LATN_BIH SR_LATN_SRB ST SV SW TA TE TH TK TN TO TR UG UK UR UZ VI WAE WO XH YI YO ZH ZH_HANS ZH_HANS_CHN ZH_HANS_SGP \
     ZH_HANT ZH_HANT_HKG ZH_HANT_MAC ZH_HANT_TWN ZU";

pub fn look(node: Node<'_>, found: &mut Refusals) {
    if let [first, from, to, last] = node.own().map(|word| word.kind()).collect::<Vec<_>>().as_slice()
        && *first == "INTERVAL"
        && *to == "TO"
        && !of_function(node)
    {
        let place = |unit: &str| UNITS.iter().position(|known| *known == unit);
        if place(from) >= place(last) {
            let message = format!("there are no intervals from {from} to {last}");
            found.add(node, "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION", message);
        }
    }
    if node.is("collateClause")
        && let Some(name) = node.kids().last()
    {
        trims(node, &name.text(), found);
    }
    match node.rule() {
        // Spark 3.5 and 4.0 have `type`, with the numbers beside it; later ones have all in one.
        "dataType" if node.kid("type").is_some() => primitive(node, found),
        "primitiveType" => primitive(node, found),
        "dataType" => incomplete(node, found),
        "collateClause" if inside_type(node) => {
            let name = node.kids().last();
            if let Some(name) = name {
                collation(node, &name.text(), found);
            }
        }
        "collationSpec" => {
            if let Some(name) = node.kids().last() {
                collation(node, &name.text(), found);
            }
        }
        _ => {}
    }
}

fn inside_type(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        matches!(
            parent.rule(),
            "type" | "dataType" | "nonTrivialPrimitiveType" | "primitiveType"
        )
    })
}

fn incomplete(node: Node<'_>, found: &mut Refusals) {
    if of_function(node) && node.version() < (4, 2) {
        return;
    }
    let own: Vec<&str> = node.own().map(|word| word.kind()).collect();
    if let [kind @ ("ARRAY" | "MAP" | "STRUCT")] = own.as_slice()
        && node.kids().next().is_none()
    {
        incomplete_type(node, kind, found);
    }
}

fn incomplete_type(node: Node<'_>, kind: &str, found: &mut Refusals) {
    let example = match kind {
        "ARRAY" => "ARRAY<INT>",
        "MAP" => "MAP<STRING, INT>",
        _ => "STRUCT<name: STRING>",
    };
    let message = format!("{kind} is not complete: say what is in it, for example `{example}`");
    found.add(node, "INCOMPLETE_TYPE_DEFINITION", message);
}

/// Whether it stands in a statement that creates a function.
pub fn of_function(node: Node<'_>) -> bool {
    node.above().last().is_some_and(|root| {
        root.below()
            .iter()
            .any(|node| node.is("statement") && node.has("FUNCTION") && node.has("CREATE"))
    })
}

/// A type that has no other in it: its name, and its numbers in parentheses.
fn primitive(node: Node<'_>, found: &mut Refusals) {
    // Before Spark 4.2 the types of a function's parameters are looked at when it is used.
    if of_function(node) && (node.version() < (4, 2) || node.text().eq_ignore_ascii_case("TABLE")) {
        return;
    }
    let named = node.kid("type").unwrap_or(node);
    if named.kid("identifier").is_some() {
        let name = node.text();
        let known = ELSEWHERE
            .iter()
            .find(|(other, _)| *other == name.split('(').next().unwrap_or_default().trim().to_ascii_uppercase());
        let message = match known {
            Some((_, here)) => format!("there is no type {name}; Spark's is {here}"),
            None => format!("there is no type {name}"),
        };
        found.add(node, "UNSUPPORTED_DATATYPE", message);
        return;
    }
    let words: Vec<(String, String)> = node.words().map(|word| (word.kind().to_owned(), word.text())).collect();
    let Some((kind, written)) = words.first() else { return };
    if let "ARRAY" | "MAP" | "STRUCT" = kind.as_str() {
        if words.len() == 1 {
            incomplete_type(node, kind, found);
        }
        return;
    }
    let mut numbers = Vec::new();
    for (kind, text) in words.iter().skip(1) {
        match kind.as_str() {
            "INTEGER_VALUE" => numbers.push(text.as_str()),
            "LEFT_PAREN" | "RIGHT_PAREN" | "COMMA" => {}
            "COLLATE" => break,
            // Anything else is a form of its own.
            _ => return,
        }
    }
    let name = written.to_ascii_uppercase();
    if numbers.iter().any(|number| number.parse::<i32>().is_err()) {
        found.add(
            node,
            "NUMBER_FORMAT",
            format!("{name}({}): the number is too large", numbers.join(", ")),
        );
        return;
    }
    let numbers: Vec<i32> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let version = node.version();
    let wrong = match numbers.as_slice() {
        [] if SIZED.contains(&name.as_str()) => {
            found.add(
                node,
                "DATATYPE_MISSING_SIZE",
                format!("{name} needs a length: `{name}(10)`"),
            );
            return;
        }
        [] if matches!(name.as_str(), "GEOMETRY" | "GEOGRAPHY") => true,
        [srid] if matches!(name.as_str(), "GEOMETRY" | "GEOGRAPHY") => {
            srid_of(node, &name, *srid, found);
            return;
        }
        [] => false,
        [_] if SIZED.contains(&name.as_str()) => false,
        [precision] | [precision, _] if DECIMALS.contains(&name.as_str()) => {
            let scale = numbers.get(1).copied().unwrap_or_default();
            if scale > *precision {
                let message =
                    format!("a decimal cannot have more digits behind the point ({scale}) than it has ({precision})");
                found.add(node, "DECIMAL_SCALE", message);
            } else if *precision > 38 {
                let message = format!("a decimal has at most 38 digits, not {precision}");
                found.add(node, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", message);
            }
            return;
        }
        [precision] if name == "TIME" && version >= (4, 1) => *precision > if version >= (4, 2) { 9 } else { 6 },
        [..] if SIZED.contains(&name.as_str()) || DECIMALS.contains(&name.as_str()) => true,
        [precision] if name.starts_with("TIMESTAMP") && version >= (4, 2) => !(6..=9).contains(precision),
        [..] => PLAIN.contains(&name.as_str()),
    };
    if wrong {
        found.add(
            node,
            "UNSUPPORTED_DATATYPE",
            format!("there is no type {}", node.text()),
        );
    }
}

/// Systems of coordinates that the first Spark with such types knows; later ones know many more, of which little is said here.
fn srid_of(node: Node<'_>, name: &str, srid: i32, found: &mut Refusals) {
    let known = match (name, node.version() < (4, 2)) {
        ("GEOMETRY", true) => matches!(srid, 0 | 3857 | 4326),
        ("GEOGRAPHY", true) => srid == 4326,
        ("GEOGRAPHY", false) => !matches!(srid, 0 | 1 | 3857),
        _ => srid == 0 || (1024..=32_766).contains(&srid) || srid > 100_000,
    };
    if !known {
        let message = format!("{name} takes no coordinates of the system {srid}");
        found.add(node, "ST_INVALID_SRID_VALUE", message);
    }
}

/// Collations that leave blanks at the end out are refused by Spark 4.0 as it comes.
fn trims(node: Node<'_>, name: &str, found: &mut Refusals) {
    let trims = name.trim_matches('`').to_ascii_uppercase().ends_with("_RTRIM");
    if trims && node.version() == (4, 0) && !node.switches("spark.sql.collation.trim.enabled") {
        let message = format!("{name} is not taken by this Spark unless `spark.sql.collation.trim.enabled` is true");
        found.add(node, "UNSUPPORTED_FEATURE.TRIM_COLLATION", message);
    }
}

/// A collation's name: one of Spark's own, or a locale with what it ignores.
fn collation(node: Node<'_>, name: &str, found: &mut Refusals) {
    if of_function(node) && node.version() < (4, 2) {
        return;
    }
    let upper = name.trim_matches('`').to_ascii_uppercase();
    let parts: Vec<&str> = upper.split('.').collect();
    let base = match parts.as_slice() {
        [one] => *one,
        ["SYSTEM", "BUILTIN", one] => *one,
        _ => "",
    };
    let (mut base, mut ends) = (base, Vec::new());
    while let Some((shorter, kind)) = [("_CI", 0), ("_CS", 0), ("_AI", 1), ("_AS", 1), ("_RTRIM", 2)]
        .iter()
        .find_map(|(end, kind)| Some((base.strip_suffix(end)?, *kind)))
    {
        base = shorter;
        ends.push(kind);
    }
    // Each is said once, and those of bytes ignore neither case nor accents.
    let once = |kind| ends.iter().filter(|end| **end == kind).count() <= 1;
    let right = match base {
        "UTF8_BINARY" | "UTF8_LCASE" => ends.iter().all(|kind| *kind == 2) && once(2),
        "UNICODE" => (0..3).all(once),
        base => (0..3).all(once) && LOCALES.split_whitespace().any(|locale| locale == base),
    };
    if !right {
        let message = format!("there is no collation {name}; UTF8_BINARY, UTF8_LCASE and UNICODE are some");
        found.add(node, "COLLATION_INVALID_NAME", message);
    }
}
