//! "Did you mean".

/// The candidate a word was probably meant to be: the same in another case, else the one with the fewest slips of the finger, if
/// those are few for its length (one, or a third of the characters).
///
/// ```
/// use stoke_model::manifest::nearest;
/// assert_eq!(nearest("instnaces", ["cores", "instances", "memory"]), Some("instances"));
/// assert_eq!(nearest("colour", ["cores", "instances", "memory"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = match candidate.to_lowercase() {
            same if same == lower => 0,
            // A name left unfinished, or with a plural too many.
            other
                if other.len().abs_diff(lower.len()) <= 2
                    && lower.len() >= 4
                    && (other.starts_with(&lower) || lower.starts_with(&other)) =>
            {
                1
            }
            other => strsim::damerau_levenshtein(&lower, &other),
        };
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// True when one name is the other with a slip of the finger in it: a letter left out, doubled, exchanged or wrong, or an unfinished word, within a word
/// of four letters or more. Names that differ in digits or in whole words are different on purpose.
///
/// ```
/// use stoke_model::manifest::is_slip;
/// assert!(is_slip("sales-cofig", "sales-config") && is_slip("sparkconf", "spark-conf"));
/// assert!(!is_slip("sales-1", "sales-2") && !is_slip("orders-config", "users-config"));
/// ```
pub fn is_slip(one: &str, other: &str) -> bool {
    const MOST: usize = 2;
    if one == other || one.len().abs_diff(other.len()) > MOST || !one.is_ascii() || !other.is_ascii() {
        return false;
    }
    let (a, b) = (one.as_bytes(), other.as_bytes());
    let begin = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[begin..], &b[begin..]);
    let end = rest_a
        .iter()
        .rev()
        .zip(rest_b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (cut_a, cut_b) = (&rest_a[..rest_a.len() - end], &rest_b[..rest_b.len() - end]);
    let separates = |byte: &u8| !byte.is_ascii_alphanumeric();
    let cut = || cut_a.iter().chain(cut_b);
    if cut().any(|byte| !byte.is_ascii_alphabetic()) {
        // `sparkconf` and `spark-conf`, `spark_conf` and `spark-conf`.
        return cut_a.len().max(cut_b.len()) == 1 && cut().all(separates);
    }
    let word = |text: &[u8], cut: usize| {
        let before = text[..begin].iter().rev().take_while(|byte| !separates(byte)).count();
        let after = text[begin + cut..].iter().take_while(|byte| !separates(byte)).count();
        (before, before + cut + after)
    };
    let ((before, first), (_, second)) = (word(a, cut_a.len()), word(b, cut_b.len()));
    let longest = first.max(second);
    match (cut_a.len(), cut_b.len()) {
        (0, 1..=MOST) | (1..=MOST, 0) => longest >= 4,
        (1, 1) => longest >= 5 && before > 0,
        (2, 2) => longest >= 4 && cut_a[0] == cut_b[1] && cut_a[1] == cut_b[0],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn slips_are_told_from_names_that_are_meant() {
        for (one, other) in [
            ("shared-dta", "shared-data"),
            ("app-config", "app-conf"),
            ("db-credentials", "db-credential"),
            ("sparkconf", "spark-conf"),
            ("spark_conf", "spark-conf"),
            ("sparc", "spark"),
            ("scirpts", "scripts"),
            ("script", "scripts"),
            ("higher", "high"),
        ] {
            assert!(is_slip(one, other) && is_slip(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("a", "a"),
            ("sales-1", "sales-2"),
            ("log4j", "log4j2"),
            ("etl-a-config", "etl-b-config"),
            ("app-dev", "app-de"),
            ("orders-config", "users-config"),
            ("app-conf", "app-b-conf"),
            ("test-config", "rest-config"),
            ("prod-db", "prod-dw"),
            ("spark", "spark-history"),
            ("", "a"),
            ("größe", "grösse"),
        ] {
            assert!(!is_slip(one, other) && !is_slip(other, one), "{one} {other}");
        }
    }
}
