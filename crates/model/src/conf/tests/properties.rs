use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::conf::properties::{PropertiesError, read, read_pairs, store};

#[test]
fn forms_of_a_line() {
    for (text, key, value) in [
        ("a=b", "a", "b"),
        ("a:b", "a", "b"),
        ("a b", "a", "b"),
        ("a\t=\tb", "a", "b"),
        ("a = = b", "a", "= b"),
        ("a\\=b=c", "a=b", "c"),
        ("a\\ b c", "a b", "c"),
        ("  a=b", "a", "b"),
        ("a", "a", ""),
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("a=b\\\n   c", "a", "bc"),
        ("a=b\\\\\nc=d", "a", "b\\"),
        ("a=b\\", "a", "b"),
        ("a=\\u00e9\\ud83d\\ude00", "a", "é😀"),
        ("a=é", "a", "é"),
        ("a=\\t\\x\\n!", "a", "\tx\n!"),
        ("a=b\r\nc=d", "a", "b"),
        (
            "spark.driver.extraJavaOptions  -Da=b -Dc=d",
            "spark.driver.extraJavaOptions",
            "-Da=b -Dc=d",
        ),
        ("k=v # not a comment", "k", "v # not a comment"),
        ("a=b  ", "a", "b  "),
    ] {
        let pairs = read_pairs(text).unwrap();
        assert_eq!(
            (pairs[0].key.as_str(), pairs[0].value.as_str()),
            (key, value),
            "{text:?}"
        );
    }
}

#[test]
fn comments_blank_lines_and_line_numbers() {
    let pairs = read_pairs("# c\n\n  ! d\na=1\\\n2\nb=3\n").unwrap();
    let seen: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_str(), pair.line))
        .collect();
    assert_eq!(seen, [("a", "12", 4), ("b", "3", 6)]);
}

#[test]
fn values_are_trimmed_and_the_last_wins() {
    let one = |text: &str| read(text).unwrap().remove("a");
    assert_eq!(one("a=1  \na= 2 \n").as_deref(), Some("2"));
    assert_eq!(
        one("a=\\ 2\\n \\t").as_deref(),
        Some("2\n"),
        "Spark keeps line breaks at the ends"
    );
    assert_eq!(
        one("\\\n#a=1\na=2\n\\").as_deref(),
        Some("2"),
        "a lone backslash is an empty line"
    );
}

#[test]
fn a_broken_escape_names_its_line() {
    assert_eq!(read("a=b\nc=\\u00g0"), Err(PropertiesError::BadEscape { line: 2 }));
    assert_eq!(read("c=\\u00"), Err(PropertiesError::BadEscape { line: 1 }));
}

#[test]
fn store_escapes_as_java_does() {
    let conf = BTreeMap::from([
        (" a b".to_owned(), " x y ".to_owned()),
        ("k".to_owned(), "#1!=:\\\t\n\r\u{c}é".to_owned()),
    ]);
    assert_eq!(
        store(&conf, ["t", "#u"]),
        "#t\n#u\n\\ a\\ b=\\ x y \nk=\\#1\\!\\=\\:\\\\\\t\\n\\r\\fé\n"
    );
}

proptest! {
    #[test]
    fn what_is_stored_is_read_back(conf in proptest::collection::btree_map(".*", ".*", 0..6)) {
        let pairs = read_pairs(&store(&conf, ["header"])).unwrap();
        let back: BTreeMap<String, String> = pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
        prop_assert_eq!(back, conf);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "(\\PC|\\\\|\\n|\\r|u|=|:| )*") {
        let _ = read_pairs(&text);
    }
}
