//! Paths and URIs as `spark-submit` resolves them.

use crate::conf::split_list;
use crate::error::PlanError;
use crate::request::SubmitRequest;

/// The resource name of an application without a jar of its own.
pub(crate) const INTERNAL: &str = "spark-internal";

/// The scheme of a URI, when there is one.
pub(crate) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let mut bytes = scheme.bytes();
    let first = bytes.next()?;
    (first.is_ascii_alphabetic() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
        .then_some(scheme)
}

/// Makes a path without scheme an absolute `file:` URI; a fragment stays.
pub(crate) fn resolve(path: &str, working_dir: &str) -> String {
    if scheme(path).is_some() {
        return path.to_owned();
    }
    let (path, fragment) = split_fragment(path);
    let absolute = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", working_dir.trim_end_matches('/'))
    };
    let mut uri = format!("file:{}", percent_encode(&absolute));
    if let Some(fragment) = fragment {
        uri.push('#');
        uri.push_str(fragment);
    }
    uri
}

/// [`resolve`] on every element of a comma-separated list, globs replaced by what they match.
pub(crate) fn resolve_list(paths: &str, request: &SubmitRequest) -> Result<String, PlanError> {
    let mut resolved = Vec::new();
    for path in split_list(paths) {
        let (base, fragment) = split_fragment(&path);
        match request.files.globs.get(base) {
            Some(matches) if matches.len() > 1 && fragment.is_some() => {
                return Err(PlanError::InvalidValue {
                    key: path.clone(),
                    value: matches.join(","),
                    reason: "a pattern that matches several files cannot be renamed with `#`; name one file".to_owned(),
                });
            }
            Some(matches) if !matches.is_empty() => resolved.extend(matches.iter().map(|found| {
                let uri = resolve(found, &request.working_dir);
                fragment.map_or(uri.clone(), |fragment| format!("{uri}#{fragment}"))
            })),
            _ => resolved.push(resolve(&path, &request.working_dir)),
        }
    }
    Ok(resolved.join(","))
}

/// The path before `#` and what follows it.
pub(crate) fn split_fragment(uri: &str) -> (&str, Option<&str>) {
    match uri.split_once('#') {
        Some((base, fragment)) => (base, Some(fragment)),
        None => (uri, None),
    }
}

/// A file of the submitting machine, which pods cannot see.
pub(crate) fn is_local_file(uri: &str) -> bool {
    uri != INTERNAL && matches!(scheme(uri), None | Some("file"))
}

/// The absolute path of a `file:` URI, decoded, without fragment.
pub(crate) fn file_path(uri: &str) -> String {
    let (base, _) = split_fragment(uri);
    let rest = base.strip_prefix("file:").unwrap_or(base);
    let path = match rest.strip_prefix("//") {
        Some(after) => after.find('/').map_or("", |slash| &after[slash..]),
        None => rest,
    };
    percent_decode(path)
}

/// `file:///x` becomes `file:/x`, as a URI builder writes it; other URIs stay.
pub(crate) fn rebuild(uri: &str) -> String {
    match uri.strip_prefix("file://") {
        Some(path) if path.starts_with('/') => format!("file:{path}"),
        _ => uri.to_owned(),
    }
}

/// Encodes what a file URI may not hold as it is.
fn percent_encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for character in path.chars() {
        if character.is_ascii_control() || " \"#%<>?[\\]^`{|}".contains(character) {
            encoded.push_str(&format!("%{:02X}", character as u32));
        } else {
            encoded.push(character);
        }
    }
    encoded
}

fn percent_decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_file_uris() {
        let table = [
            ("job.py", "file:/home/me/job.py"),
            ("/a b.py", "file:/a%20b.py"),
            ("data.txt#renamed", "file:/home/me/data.txt#renamed"),
            ("s3a://b/x.py", "s3a://b/x.py"),
            ("local:///x.jar", "local:///x.jar"),
            ("file:///x.jar", "file:///x.jar"),
        ];
        for (path, uri) in table {
            assert_eq!(resolve(path, "/home/me/"), uri);
        }
    }

    #[test]
    fn file_uris_become_paths() {
        let table = [
            ("file:/a%20b", "/a b"),
            ("file:///x/y#z", "/x/y"),
            ("file://host/p", "/p"),
            ("/plain", "/plain"),
            ("file:/100%", "/100%"),
        ];
        for (uri, path) in table {
            assert_eq!(file_path(uri), path);
        }
    }

    #[test]
    fn only_paths_and_file_uris_are_local() {
        for local in ["/x", "x", "file:/x", "file:///x"] {
            assert!(is_local_file(local), "{local}");
        }
        for remote in ["local:///x", "s3a://b/x", "https://h/x", INTERNAL] {
            assert!(!is_local_file(remote), "{remote}");
        }
    }
}
