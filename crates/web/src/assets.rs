//! What pages load besides themselves: one style and one script, both in the binary, under names that change with their content.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A file that pages load.
#[derive(Debug)]
pub struct Asset {
    /// Its name, with the beginning of its sum.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// As it is.
    pub plain: &'static [u8],
    /// Compressed with gzip.
    pub gzip: Vec<u8>,
}

/// The style, the script, the icon.
static ALL: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset(
            "style",
            "css",
            "text/css; charset=utf-8",
            include_bytes!("../assets/style.css"),
        ),
        asset(
            "page",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/page.js"),
        ),
        asset("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

fn asset(stem: &str, ending: &str, kind: &'static str, plain: &'static [u8]) -> Asset {
    let sum: String = Sha256::digest(plain)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Asset {
        name: format!("{stem}.{sum}.{ending}"),
        kind,
        plain,
        gzip: compressed(plain, Compression::best()),
    }
}

/// Bytes compressed with gzip.
pub fn compressed(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), level);
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The asset of a name.
pub fn named(name: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.name == name)
}

/// The name of the style.
pub fn style() -> &'static str {
    &ALL[0].name
}

/// The name of the script.
pub fn script() -> &'static str {
    &ALL[1].name
}

/// The name of the icon.
pub fn icon() -> &'static str {
    &ALL[2].name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_small_and_have_names_of_their_content() {
        let script = named(script()).unwrap();
        assert!(script.gzip.len() < 6 << 10, "{}", script.gzip.len());
        assert!(named(style()).unwrap().gzip.len() < 10 << 10);
        assert!(script.name.starts_with("page.") && script.name.len() == "page.123456789abc.js".len());
        assert!(named("page.js").is_none());
    }
}
