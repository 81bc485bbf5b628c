//! The libraries Kubernetes adds: quantities, versions, addresses, URLs, named formats, and the authorizer.

use std::net::IpAddr;
use std::sync::Arc;

use super::eval::{Budget, EvalError};
use super::value::Value;
use crate::apimachinery::meta;
use crate::apimachinery::meta::NameRule;
use crate::apimachinery::quantity;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// A parsed URL.
#[derive(Debug)]
pub struct Url {
    /// As it was written.
    pub text: String,
    scheme: String,
    host: String,
    path: String,
    query: Vec<(String, String)>,
}

/// A question to the authorizer, as far as it has been put.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Who is asked about: empty for the user of the request, else namespace and name of a service account.
    pub account: Option<(String, String)>,
    /// API group.
    pub group: Option<String>,
    /// Resource; none asks about a path.
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    /// Object.
    pub name: String,
    /// Verb, once the question is put.
    pub verb: String,
    /// Path that is not a resource.
    pub path: Option<String>,
    /// The answer, once given.
    pub allowed: Option<bool>,
}

/// Functions without a target.
pub(super) fn call<'a>(name: &str, arguments: &[Value<'a>], budget: &Budget) -> Evaluated<'a> {
    if let [Value::Text(text)] = arguments {
        budget.read(text.len())?;
    }
    match (name, arguments) {
        ("quantity", [Value::Text(text)]) => quantity::parse(text).map(Value::Quantity).ok_or_else(|| {
            EvalError::new(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            )
        }),
        ("isQuantity", [Value::Text(text)]) => Ok(Value::Bool(quantity::parse(text).is_some())),
        ("semver", [Value::Text(text), rest @ ..]) => {
            version(text, *rest_flag(rest)?).ok_or_else(|| EvalError::new("Invalid semantic version"))
        }
        ("isSemver", [Value::Text(text), rest @ ..]) => Ok(Value::Bool(version(text, *rest_flag(rest)?).is_some())),
        ("ip", [Value::Text(text)]) => address(text)
            .map(Value::Ip)
            .ok_or_else(|| EvalError::new(format!("IP Address {text:?} parse error"))),
        ("isIP", [Value::Text(text)]) => Ok(Value::Bool(address(text).is_some())),
        ("ip.isCanonical", [Value::Text(text)]) => address(text)
            .map(|address| Value::Bool(address.to_string() == **text))
            .ok_or_else(|| EvalError::new(format!("IP Address {text:?} parse error"))),
        ("cidr", [Value::Text(text)]) => network(text)
            .map(|(address, length)| Value::Cidr(address, length))
            .ok_or_else(|| {
                EvalError::new(format!(
                    "network address parse error during conversion from string: {text:?}"
                ))
            }),
        ("isCIDR", [Value::Text(text)]) => Ok(Value::Bool(network(text).is_some())),
        ("url", [Value::Text(text)]) => url(text)
            .map(|url| Value::Url(Arc::new(url)))
            .ok_or_else(|| EvalError::new("URL parse error during conversion from string")),
        ("isURL", [Value::Text(text)]) => Ok(Value::Bool(url(text).is_some())),
        ("jsonpatch.escapeKey", [Value::Text(text)]) => Ok(Value::text(text.replace('~', "~0").replace('/', "~1"))),
        ("format.named", [Value::Text(text)]) => Ok(Value::Optional(
            named_format(text).map(|name| Box::new(Value::NamedFormat(name))),
        )),
        (_, []) if name.starts_with("format.") => named_format(&name[7..])
            .map(Value::NamedFormat)
            .ok_or_else(EvalError::overload),
        _ => Err(EvalError::overload()),
    }
}

fn rest_flag<'v>(rest: &'v [Value<'_>]) -> Result<&'v bool, EvalError> {
    match rest {
        [] => Ok(&false),
        [Value::Bool(flag)] => Ok(flag),
        _ => Err(EvalError::overload()),
    }
}

/// Methods of these libraries' values.
pub(super) fn method<'a>(target: &Value<'a>, name: &str, arguments: &[Value<'a>], budget: &Budget) -> Evaluated<'a> {
    let order = |order: std::cmp::Ordering| match name {
        "isGreaterThan" => Ok(Value::Bool(order.is_gt())),
        "isLessThan" => Ok(Value::Bool(order.is_lt())),
        "compareTo" => Ok(Value::Int(order as i64)),
        _ => Err(EvalError::overload()),
    };
    const UNIT: i128 = 1_000_000_000;
    match (target, arguments) {
        (Value::Quantity(nanos), []) => match name {
            "isInteger" => Ok(Value::Bool(nanos % UNIT == 0 && i64::try_from(nanos / UNIT).is_ok())),
            "asInteger" if nanos % UNIT == 0 => i64::try_from(nanos / UNIT)
                .map(Value::Int)
                .map_err(|_| EvalError::new("cannot convert value to integer")),
            "asInteger" => Err(EvalError::new("cannot convert value to integer")),
            "asApproximateFloat" => Ok(Value::Double(*nanos as f64 / UNIT as f64)),
            "sign" => Ok(Value::Int(nanos.signum() as i64)),
            _ => Err(EvalError::overload()),
        },
        (Value::Quantity(left), [other]) => {
            let right = match other {
                Value::Quantity(right) => *right,
                Value::Int(number) => i128::from(*number) * UNIT,
                _ => return Err(EvalError::overload()),
            };
            let overflow = || EvalError::new("quantity overflow");
            match name {
                "add" => left.checked_add(right).map(Value::Quantity).ok_or_else(overflow),
                "sub" => left.checked_sub(right).map(Value::Quantity).ok_or_else(overflow),
                _ => order(left.cmp(&right)),
            }
        }
        (Value::Version(numbers, _), []) => Ok(Value::Int(
            i64::try_from(match name {
                "major" => numbers[0],
                "minor" => numbers[1],
                "patch" => numbers[2],
                _ => return Err(EvalError::overload()),
            })
            .unwrap_or(i64::MAX),
        )),
        (Value::Version(left, left_rest), [Value::Version(right, right_rest)]) => {
            order(left.cmp(right).then_with(|| compare_prerelease(left_rest, right_rest)))
        }
        (Value::Ip(address), []) => match name {
            "family" => Ok(Value::Int(if address.is_ipv4() { 4 } else { 6 })),
            "isUnspecified" => Ok(Value::Bool(address.is_unspecified())),
            "isLoopback" => Ok(Value::Bool(address.is_loopback())),
            "isLinkLocalMulticast" => Ok(Value::Bool(match address {
                IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
                IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
            })),
            "isLinkLocalUnicast" => Ok(Value::Bool(link_local(address))),
            "isGlobalUnicast" => {
                let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
                let other =
                    address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local(address);
                Ok(Value::Bool(!broadcast && !other))
            }
            _ => Err(EvalError::overload()),
        },
        (Value::Cidr(address, length), []) => match name {
            "ip" => Ok(Value::Ip(*address)),
            "masked" => Ok(Value::Cidr(mask(*address, *length), *length)),
            "prefixLength" => Ok(Value::Int(i64::from(*length))),
            _ => Err(EvalError::overload()),
        },
        (Value::Cidr(net, length), [argument]) => {
            let inside = |address: IpAddr, of: u8| {
                address.is_ipv4() == net.is_ipv4() && of >= *length && mask(address, *length) == mask(*net, *length)
            };
            let address_of = |address: &IpAddr| (*address, if address.is_ipv4() { 32 } else { 128 });
            let (address, of) = match (name, argument) {
                ("containsIP", Value::Ip(other)) => address_of(other),
                ("containsIP", Value::Text(text)) => {
                    address_of(&address(text).ok_or_else(|| EvalError::new("IP Address parse error"))?)
                }
                ("containsCIDR", Value::Cidr(other, of)) => (*other, *of),
                ("containsCIDR", Value::Text(text)) => {
                    network(text).ok_or_else(|| EvalError::new("network address parse error"))?
                }
                _ => return Err(EvalError::overload()),
            };
            Ok(Value::Bool(inside(address, of)))
        }
        (Value::Url(url), []) => Ok(match name {
            "getScheme" => Value::text(&url.scheme),
            "getHost" => Value::text(&url.host),
            "getHostname" => Value::text(split_port(&url.host).0),
            "getPort" => Value::text(split_port(&url.host).1),
            "getEscapedPath" => Value::text(&url.path),
            "getQuery" => {
                let mut grouped: Vec<(Value<'a>, Vec<Value<'a>>)> = Vec::new();
                for (name, value) in &url.query {
                    let value = Value::text(value);
                    match grouped.iter_mut().find(|(known, _)| known.display() == *name) {
                        Some((_, values)) => values.push(value),
                        None => grouped.push((Value::text(name), vec![value])),
                    }
                }
                Value::Map(Arc::new(
                    grouped
                        .into_iter()
                        .map(|(name, values)| (name, Value::list(values)))
                        .collect(),
                ))
            }
            _ => return Err(EvalError::overload()),
        }),
        (Value::NamedFormat(format), [Value::Text(text)]) if name == "validate" => {
            budget.read(text.len())?;
            let complaints: Vec<Value<'a>> = complaints(format, text).iter().map(Value::text).collect();
            Ok(Value::Optional(
                (!complaints.is_empty()).then(|| Box::new(Value::list(complaints))),
            ))
        }
        _ => Err(EvalError::overload()),
    }
}

/// Puts a question to the authorizer together, asks it, and reads the answer.
pub(super) fn ask<'a>(
    question: &Question,
    name: &str,
    arguments: &[Value<'a>],
    allows: &dyn Fn(&Question) -> Option<bool>,
) -> Evaluated<'a> {
    let mut next = question.clone();
    match (name, arguments) {
        ("serviceAccount", [Value::Text(namespace), Value::Text(account)]) => {
            next.account = Some((namespace.to_string(), account.to_string()));
        }
        ("path", [Value::Text(path)]) => next.path = Some(path.to_string()),
        ("group", [Value::Text(group)]) => next.group = Some(group.to_string()),
        ("resource", [Value::Text(resource)]) => next.resource = resource.to_string(),
        ("subresource", [Value::Text(subresource)]) => next.subresource = subresource.to_string(),
        ("namespace", [Value::Text(namespace)]) => next.namespace = namespace.to_string(),
        ("name", [Value::Text(object)]) => next.name = object.to_string(),
        ("check", [Value::Text(verb)]) => {
            next.verb = verb.to_string();
            next.allowed = Some(allows(&next).ok_or_else(|| EvalError::new("there is no authorizer here"))?);
        }
        ("allowed", []) => return question.allowed.map(Value::Bool).ok_or_else(EvalError::overload),
        ("errored", []) => return Ok(Value::Bool(false)),
        ("error" | "reason", []) => return Ok(Value::text("")),
        _ => return Err(EvalError::overload()),
    }
    Ok(Value::Question(Arc::new(next)))
}

/// A quantity without suffix, as short as it can be.
pub(super) fn quantity_text(nanos: i128) -> String {
    const UNIT: i128 = 1_000_000_000;
    if nanos % UNIT == 0 {
        return (nanos / UNIT).to_string();
    }
    if nanos % 1_000_000 == 0 {
        return format!("{}m", nanos / 1_000_000);
    }
    format!("{nanos}n")
}

fn version(text: &str, normalize: bool) -> Option<Value<'static>> {
    let text = if normalize {
        text.strip_prefix('v').unwrap_or(text)
    } else {
        text
    };
    let (text, build) = text
        .split_once('+')
        .map_or((text, None), |(text, build)| (text, Some(build)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if build.is_some_and(|build| !build.split('.').all(word)) {
        return None;
    }
    let (core, rest) = text
        .split_once('-')
        .map_or((text, None), |(core, rest)| (core, Some(rest)));
    let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0');
    if let Some(rest) = rest {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !rest
            .split('.')
            .all(|part| word(part) && !(number(part) && leading_zero(part)))
        {
            return None;
        }
    }
    let mut numbers = [0; 3];
    let parts: Vec<&str> = core.split('.').collect();
    if parts.len() > 3 || (!normalize && parts.len() < 3) {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        if (leading_zero(part) && !normalize) || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(Value::Version(numbers, rest.unwrap_or_default().into()))
}

fn compare_prerelease(left: &str, right: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        _ => {}
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), _) => Ordering::Less,
                (_, Ok(_)) => Ordering::Greater,
                _ => left.cmp(right),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    // Addresses of the old family in the new one's clothes are refused, as published.
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (head, length) = text.split_once('/')?;
    let found = address(head)?;
    let zero = length.len() > 1 && length.starts_with('0');
    let length: u8 = length.parse().ok().filter(|_| !zero && !length.starts_with('+'))?;
    (length <= if found.is_ipv4() { 32 } else { 128 }).then_some((found, length))
}

fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & keep).into())
        }
        IpAddr::V6(address) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(address) & keep).into())
        }
    }
}

fn link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// An absolute URL or an absolute path.
fn url(text: &str) -> Option<Url> {
    if text.is_empty() || text.contains(|character: char| character.is_control() || character == ' ') {
        return None;
    }
    let without_fragment = text.split('#').next().unwrap_or(text);
    let (scheme, rest) = match without_fragment.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ if without_fragment.starts_with('/') => (String::new(), without_fragment),
        _ => return None,
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
        None => ("", rest),
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    let port = split_port(host).1;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let query = query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    });
    Some(Url {
        text: text.to_owned(),
        scheme,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.collect(),
    })
}

fn split_port(host: &str) -> (&str, &str) {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, after) = rest.split_once(']').unwrap_or((rest, ""));
        return (address, after.strip_prefix(':').unwrap_or(""));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

fn decode(text: &str) -> String {
    crate::apimachinery::meta::percent_decoded(&text.replace('+', " "))
}

fn named_format(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 13] = [
        "dns1123Label",
        "dns1123Subdomain",
        "dns1035Label",
        "qualifiedName",
        "dns1123LabelPrefix",
        "dns1123SubdomainPrefix",
        "dns1035LabelPrefix",
        "labelValue",
        "uri",
        "uuid",
        "byte",
        "date",
        "datetime",
    ];
    NAMES.into_iter().find(|known| *known == name)
}

fn complaints(format: &str, text: &str) -> Vec<String> {
    let name = |rule: NameRule, text: &str| {
        let found = meta::check_name(rule, "", text);
        found.into_iter().map(|error| error.message).collect::<Vec<_>>()
    };
    let prefix = |text: &str| {
        text.strip_suffix('-')
            .map(|head| format!("{head}a"))
            .unwrap_or_else(|| text.to_owned())
    };
    let unless = |holds: bool, complaint: &str| if holds { Vec::new() } else { vec![complaint.to_owned()] };
    match format {
        "dns1123Label" => name(NameRule::Label, text),
        "dns1123Subdomain" => name(NameRule::Subdomain, text),
        "dns1035Label" => name(NameRule::Label1035, text),
        "dns1123LabelPrefix" => name(NameRule::Label, &prefix(text)),
        "dns1123SubdomainPrefix" => name(NameRule::Subdomain, &prefix(text)),
        "dns1035LabelPrefix" => name(NameRule::Label1035, &prefix(text)),
        "qualifiedName" => meta::check_qualified(text, "")
            .into_iter()
            .map(|error| error.message)
            .collect(),
        "labelValue" => meta::check_labels(&serde_json::json!({"a": text}), "")
            .into_iter()
            .map(|error| error.message)
            .collect(),
        "uri" => unless(url(text).is_some(), "invalid URI"),
        "uuid" => unless(
            crate::apimachinery::schema::has_format("uuid", text),
            "does not match the UUID format",
        ),
        "byte" => unless(crate::apimachinery::schema::has_format("byte", text), "invalid base64"),
        "date" => unless(crate::apimachinery::schema::has_format("date", text), "invalid date"),
        _ => unless(
            crate::apimachinery::schema::has_format("date-time", text),
            "invalid datetime",
        ),
    }
}
