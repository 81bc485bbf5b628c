//! Strings of Java options, as Spark's launcher splits them, and what they say.

/// Splits a string of options into words like `CommandBuilderUtils.parseOptionString` of Spark's launcher: white space separates,
/// single and double quotes group, a backslash escapes the next character outside single quotes… and inside double quotes only
/// a quote or a backslash. None when a quote or an escape is left open, which the launcher refuses.
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for c in text.chars() {
        if escaped {
            word.get_or_insert_default().push(c);
            escaped = false;
            continue;
        }
        match (c, quote) {
            ('\\', None | Some('"')) => escaped = true,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() || escaped {
        return None;
    }
    words.extend(word);
    Some(words)
}

/// Whether options choose a garbage collector: two choices make a JVM refuse to start.
pub fn choose_collector<'a>(mut options: impl Iterator<Item = &'a str>) -> bool {
    options.any(|option| {
        option.strip_prefix("-XX:").is_some_and(|flag| {
            flag.get(1..)
                .is_some_and(|name| name.starts_with("Use") && name.ends_with("GC"))
        })
    })
}

/// Whether options say something about class-data sharing or ahead-of-time caches.
pub fn choose_archive<'a>(mut options: impl Iterator<Item = &'a str>) -> bool {
    options.any(|option| {
        option.starts_with("-Xshare")
            || [
                "SharedArchiveFile",
                "ArchiveClassesAtExit",
                "DumpLoadedClassList",
                "SharedClassListFile",
                "AOTCache",
                "AOTMode",
                "AOTConfiguration",
                "AOTClassLinking",
            ]
            .iter()
            .any(|flag| option.contains(flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_like_the_launcher_does() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("  -Da=b   -Dc=d\n", Some(&["-Da=b", "-Dc=d"])),
            ("-Dq='x y' -Dr=\"a \\\" b\"", Some(&["-Dq=x y", "-Dr=a \" b"])),
            ("a\\ b 'c\\d' ''", Some(&["a b", "c\\d", ""])),
            ("'open", None),
            ("open\\", None),
        ];
        for (text, expected) in cases {
            let words = split(text);
            assert_eq!(
                words
                    .as_ref()
                    .map(|words| words.iter().map(String::as_str).collect::<Vec<_>>()),
                expected.map(<[&str]>::to_vec),
                "{text}"
            );
        }
    }

    #[test]
    fn choices_are_seen() {
        let collector = |option: &str| choose_collector(std::iter::once(option));
        assert!(collector("-XX:+UseG1GC") && collector("-XX:-UseSerialGC") && collector("-XX:+UseZGC"));
        assert!(!collector("-XX:+UseStringDeduplication") && !collector("-verbose:gc") && !collector("-XX:"));
        let archive = |option: &str| choose_archive(std::iter::once(option));
        assert!(archive("-Xshare:off") && archive("-XX:SharedArchiveFile=x") && !archive("-Xmx1g"));
        assert!(archive("-XX:AOTCache=x") && archive("-XX:AOTMode=off") && archive("-XX:AOTCacheOutput=x"));
    }
}
