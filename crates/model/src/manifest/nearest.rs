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
