//! Which Spark an image holds, as far as its name tells.

use crate::SparkVersion;

/// The Spark version in an image's tag: `apache/spark:4.1.4-python3`, `spark:3.5.9-scala2.12-java17-python3-ubuntu`,
/// `registry:5000/team/spark:v4.0.1@sha256:…`. None when the tag does not begin with a version, or the image is not named after Spark.
///
/// ```
/// use stoke_submit::argv::spark_version_of_image;
/// assert_eq!(spark_version_of_image("apache/spark:4.1.4-python3").unwrap().as_str(), "4.1.4");
/// assert_eq!(spark_version_of_image("team/etl:4.1.4"), None);
/// assert_eq!(spark_version_of_image("apache/spark:latest"), None);
/// ```
#[must_use]
pub fn spark_version_of_image(image: &str) -> Option<SparkVersion> {
    let tagged = image.split('@').next()?;
    let (repository, name) = match tagged.rsplit_once('/') {
        Some((repository, name)) => (repository, name),
        None => ("", tagged),
    };
    let (name, tag) = name.split_once(':')?;
    if !name.contains("spark")
        && !repository
            .rsplit('/')
            .next()
            .is_some_and(|owner| owner.contains("spark"))
    {
        return None;
    }
    version_at_start(tag).or_else(|| {
        tag.split(['-', '_'])
            .find_map(|part| part.strip_prefix("spark").and_then(version_at_start))
    })
}

/// `4.1.4`, `v4.1.4`, `4.1`, followed by nothing or by a suffix (`-python3`, `_2.13`). Previews keep their suffix.
fn version_at_start(text: &str) -> Option<SparkVersion> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (numbers, suffix) = text.split_at(end);
    if !(1..=2).contains(&numbers.matches('.').count()) || numbers.ends_with('.') {
        return None;
    }
    let version = match suffix.strip_prefix('-').and_then(|suffix| suffix.split('-').next()) {
        Some(preview) if preview.starts_with("preview") || preview == "SNAPSHOT" => format!("{numbers}-{preview}"),
        _ => numbers.to_owned(),
    };
    version.parse().ok()
}
