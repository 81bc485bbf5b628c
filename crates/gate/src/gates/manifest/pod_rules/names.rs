//! Names of ports and images, as Kubernetes and registries take them.

/// What keeps a text from being the name of a port (IsValidPortName).
pub(super) fn port_name(text: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.contains('$') {
        return None;
    }
    if text.len() > 15 {
        return Some("it has more than 15 characters");
    }
    if !text.bytes().all(allowed) {
        return Some("it has other characters than small letters, digits and dashes");
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Some("it has no letter");
    }
    let dashes = text.contains("--") || text.starts_with('-') || text.ends_with('-');
    dashes.then_some("its dashes stand at an end, or side by side")
}

/// What keeps a text from being a reference to an image; texts that something else replaces are none yet.
pub(super) fn image(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.contains(['$', '{', '<', '%']) {
        return None;
    }
    if text.contains(char::is_whitespace) {
        return Some("there is a blank in it");
    }
    if text.contains("://") {
        return Some("it has a scheme");
    }
    let (name, digest) = text
        .split_once('@')
        .map_or((text, None), |(name, digest)| (name, Some(digest)));
    if digest.is_some_and(|digest| !digest.contains(':')) {
        return Some("its digest is none, as sha256:… is");
    }
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[last..].find(':') {
        Some(at) => (&name[..last + at], Some(&name[last + at + 1..])),
        None => (name, None),
    };
    let of_tag = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if let Some(tag) = tag
        && (tag.is_empty() || tag.len() > 128 || !tag.bytes().all(of_tag) || tag.starts_with(['.', '-']))
    {
        return Some("its tag is none");
    }
    // A registry has a dot or a port, and may have capitals.
    let repository = match path.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
        _ => path,
    };
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("a repository has no capitals");
    }
    let part = |part: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| of_tag(*byte))
    };
    (!repository.split('/').all(part)).then_some("its repository has parts that none has")
}
