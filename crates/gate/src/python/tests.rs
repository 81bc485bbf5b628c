use super::*;

fn sql(text: &str) -> Vec<String> {
    sql_strings(text).unwrap().into_iter().map(|found| found.sql).collect()
}

#[test]
fn literals_of_every_form() {
    let cases = [
        ("spark.sql('SELECT 1')", vec!["SELECT 1"]),
        ("spark.sql(\"\"\"SELECT\n1\"\"\")", vec!["SELECT\n1"]),
        ("spark.sql('SELECT ' 'a' \"b\")", vec!["SELECT ab"]),
        ("spark.sql(('SELECT '\n  # why\n  '1'))", vec!["SELECT 1"]),
        ("spark.sql('a\\nb\\'c\\\\d')", vec!["a\nb'c\\d"]),
        ("spark.sql(r'a\\nb')", vec!["a\\nb"]),
        ("spark.sql('a\\\nb')", vec!["ab"]),
        (
            "spark.sql(f'SELECT {x} FROM {t:>{w}} {{k}}')",
            vec!["SELECT ${} FROM ${} {k}"],
        ),
        (
            "spark.sql('SELECT {} {a} {{b}}'.format(1, a=2))",
            vec!["SELECT ${} ${} {b}"],
        ),
        ("spark.sql('SELECT * FROM {df}', df=df)", vec!["SELECT * FROM ${}"]),
        ("spark.sql('SELECT :a', args={'a': 1})", vec!["SELECT :a"]),
        ("spark.sql('SELECT ' + 'b')", vec!["SELECT b"]),
        ("spark.sql(sqlQuery='SELECT 1')", vec!["SELECT 1"]),
        ("spark.sql('''a'''.strip())", vec!["a"]),
        ("spark.sql('\\u00e9x')", vec!["?x"]),
    ];
    for (text, expected) in cases {
        assert_eq!(sql(text), expected, "{text}");
    }
}

#[test]
fn a_session_is_known_by_its_name_or_its_making() {
    for text in [
        "self.spark.sql('x')",
        "get(1).spark_session.sql('x')",
        "sqlContext.sql('x')",
        "s = SparkSession.builder.getOrCreate()\ns.sql('x')",
        "SparkSession.builder.appName('a').getOrCreate().sql('x')",
    ] {
        assert_eq!(sql(text), ["x"], "{text}");
    }
    for text in [
        "duckdb.sql('x')",
        "con.sql('x')",
        "sql('x')",
        "spark.table('x')",
        "db.session.sql('x')",
    ] {
        assert_eq!(sql(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn names_are_followed_only_when_they_have_one_value() {
    assert_eq!(sql("Q = 'SELECT 1'\nspark.sql(Q)"), ["SELECT 1"]);
    assert_eq!(
        sql("def f():\n    q = f'SELECT {x}'\n    return spark.sql(q)"),
        ["SELECT ${}"]
    );
    for text in [
        "Q = 'a'\nQ = 'b'\nspark.sql(Q)",
        "Q = 'a'\nQ += 'b'\nspark.sql(Q)",
        "def f(Q):\n    spark.sql(Q)\nQ = 'a'",
        "for Q in ['a']:\n    spark.sql(Q)",
        "spark.sql(open('x').read())",
        "spark.sql('a %s' % b)",
        "Q = Q\nspark.sql(Q)",
    ] {
        assert_eq!(sql(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn places_lead_back_to_the_file() {
    let text = "x = 1\nspark.sql('''SELECT\n  é \\'b''')";
    let found = &sql_strings(text).unwrap()[0];
    assert_eq!(found.sql, "SELECT\n  é 'b");
    let at = |what: char| found.sql.chars().position(|c| c == what).unwrap();
    assert_eq!(&text[found.offset(at('é'))..][.."é".len()], "é");
    assert_eq!(&text[found.offset(at('b'))..][..1], "b");
    assert_eq!(&text[found.call..][..9], "spark.sql");
    assert!(found.offset(1000) < text.len());
}

#[test]
fn expressions_are_literals() {
    for (text, expected) in [
        ("df.select(F.expr('a + 1'))", vec!["a + 1"]),
        (
            "df.selectExpr('a', \"b + 1 AS c\", f'{x} + 1', y)",
            vec!["a", "b + 1 AS c"],
        ),
        ("df.withColumn('a', functions.expr('b' ' + 1'))", vec!["b + 1"]),
        ("pl.expr('a')", vec![]),
        ("F.expr(text)", vec![]),
    ] {
        assert_eq!(sql(text), expected, "{text}");
        assert!(
            sql_strings(text)
                .unwrap()
                .iter()
                .all(|found| found.kind == Form::Expression)
        );
    }
}

#[test]
fn what_is_no_python_says_where() {
    assert_eq!(sql_strings("x = 1\ndef f(:\n"), Err(NoPython::Syntax { at: 12 }));
    assert!(sql_strings("").unwrap().is_empty());
}

/// Everything that nests or repeats in a program, so often that nothing that goes down with it has room, and nothing that goes over all of it for each part
/// ends.
#[test]
fn depth_and_length_cost_no_stack_and_little_time() {
    let frames: String = (0..2_000).map(|_| "a = b.filter('x')\nb = a.filter('x')\n").collect();
    let expressions: [(&str, String); 9] = [
        (
            "calls",
            format!("x = spark.table('t'){}", ".withColumn('a', F.lit(1))".repeat(8_000)),
        ),
        (
            "filters",
            format!("x = spark.table('t'){}", ".filter('a > 1')".repeat(8_000)),
        ),
        ("statements", format!("x = spark{}", ".sql('SELECT 1')".repeat(8_000))),
        ("terms", format!("x = {}", vec!["a"; 20_000].join(" + "))),
        ("texts", format!("spark.sql({})", vec!["'a'"; 20_000].join(" + "))),
        ("brackets", format!("x = {}1{}", "(".repeat(5_000), ")".repeat(5_000))),
        ("subscripts", format!("x = a{}", "[0]".repeat(20_000))),
        ("nots", format!("x = {}a", "not ".repeat(20_000))),
        ("frames", frames),
    ];
    for (name, text) in &expressions {
        let began = std::time::Instant::now();
        // Whether tree-sitter follows them all is its own business.
        let _ = (sql_strings(text), literals(text));
        assert!(began.elapsed().as_secs() < 20, "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn sql_that_doubles_is_not_followed_to_its_end() {
    let mut text = format!("a0 = '{}'\n", "x".repeat(1 << 18));
    for number in 1..8 {
        text.push_str(&format!("a{number} = a{0} + a{0}\n", number - 1));
    }
    text.push_str("spark.sql(a7)\n");
    assert_eq!(sql_strings(&text), Ok(Vec::new()));
    let many = format!("a = '{}'\n{}", "x".repeat(1 << 18), "spark.sql(a)\n".repeat(20));
    assert!(matches!(sql_strings(&many), Err(NoPython::TooMuch { .. })));
}
