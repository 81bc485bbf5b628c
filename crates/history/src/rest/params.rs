//! Query parameters, read as Spark's server reads them.

use super::Failure;

/// The name of nothing: what Spark reads from a parameter without a value, and what nothing has.
pub(super) const NO_NAME: &str = "";

/// Names and values of a query, decoded, in their order.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the `?`.
    pub fn parse(raw: &str) -> Query {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a name, unless it is blank.
    fn filled(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.trim().is_empty())
    }

    /// Java's `Boolean.valueOf`; a blank one says nothing.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.filled(name)
            .map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number; a blank one says nothing, anything else is as if the page did not exist.
    pub fn int(&self, name: &str, default: i32) -> Result<i32, Failure> {
        match self.filled(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| Failure::NoPage),
        }
    }

    /// Names of a Java enumeration, by their upper-case spelling. A value without a text is [`NO_NAME`].
    pub fn names(&self, name: &str, known: &[&'static str]) -> Result<Vec<&'static str>, Failure> {
        self.all(name)
            .map(|value| {
                if value.is_empty() {
                    return Ok(NO_NAME);
                }
                let upper = value.to_uppercase();
                known.iter().copied().find(|one| *one == upper).ok_or(Failure::NoPage)
            })
            .collect()
    }

    /// Quantiles, ascending.
    pub fn quantiles(&self, default: &[f64]) -> Result<Vec<f64>, Failure> {
        let mut all = match self.first("quantiles") {
            None => default.to_vec(),
            Some(text) => {
                // Java's split drops empty parts at the end, but an empty text is a part.
                let mut parts: Vec<&str> = text.split(',').collect();
                while !text.is_empty() && parts.last() == Some(&"") {
                    parts.pop();
                }
                let number = |part: &str| {
                    let trimmed = part.trim_matches(|c: char| c <= ' ');
                    let digits = trimmed.trim_end_matches(['d', 'D', 'f', 'F']);
                    let special = digits.trim_start_matches(['+', '-']);
                    let known = special.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                        || matches!(special, "NaN" | "Infinity");
                    digits.parse::<f64>().ok().filter(|_| known).ok_or_else(|| {
                        Failure::Bad(format!(
                            "Bad value for parameter \"quantiles\".  Expected a double, got \"{part}\""
                        ))
                    })
                };
                parts.into_iter().map(number).collect::<Result<_, _>>()?
            }
        };
        all.sort_by(f64::total_cmp);
        Ok(all)
    }

    /// A date: `2026-11-21T23:44:59.487GMT` or `2026-11-21`.
    pub fn date(&self, name: &str, default: i64) -> Result<i64, Failure> {
        match self.first(name) {
            None | Some("") => Ok(default),
            Some(text) => moment(text).ok_or_else(|| Failure::BadDate(format!("Couldn't parse date: {text}"))),
        }
    }
}

/// The parameters of DataTables: names and values are decoded until nothing changes any more, as Spark does for its own pages. What is
/// missing or no number is an error Spark does not expect.
#[derive(Debug)]
pub(super) struct TableQuery(Query);

impl TableQuery {
    pub(super) fn of(query: &Query) -> Result<TableQuery, Failure> {
        let whole = |text: &String| {
            let mut text = text.clone();
            loop {
                let decoded = decode(&text);
                if decoded == text {
                    break;
                }
                text = decoded;
            }
            match text.contains('%') {
                true => Err(Failure::Broken(format!("an escape is not complete: {text}"))),
                false => Ok(text),
            }
        };
        let pairs = query.0.iter().map(|(name, value)| Ok((whole(name)?, whole(value)?)));
        Ok(TableQuery(Query(pairs.collect::<Result<_, _>>()?)))
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.first(name)
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Failure> {
        self.first(name).ok_or_else(|| Failure::Broken(format!("no {name}")))
    }

    pub(super) fn number(&self, name: &str) -> Result<i32, Failure> {
        let text = self.needed(name)?;
        text.parse()
            .map_err(|_| Failure::Broken(format!("For input string: \"{text}\"")))
    }

    pub(super) fn number_or(&self, name: &str, default: i32) -> Result<i32, Failure> {
        self.first(name).map_or(Ok(default), |_| self.number(name))
    }

    /// `true` or `false`; anything else says nothing.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let text = self.first(name)?.to_lowercase();
        text.parse().ok()
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' if at + 2 < bytes.len() => match (hex(bytes[at + 1]), hex(bytes[at + 2])) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A part of a path, decoded: `+` is a plus there.
pub fn decode_path(text: &str) -> String {
    decode(&text.replace('+', "%2B"))
}

/// Days since 1970 of a date in the Gregorian calendar; months and days may run over, as Java reads them leniently.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Milliseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let number = |part: &str| part.parse::<i32>().ok().filter(|_| is_digits(part)).map(i64::from);
    let date = |text: &str| {
        let parts: Vec<i64> = text.splitn(3, '-').map(number).collect::<Option<_>>()?;
        match parts[..] {
            [year, month, day] => Some(days(year, month, day) * 86_400_000),
            _ => None,
        }
    };
    if let Some((day, time)) = text.split_once('T')
        && let Some(time) = time_of_day(time)
    {
        return Some(date(day)? + time);
    }
    // The parser of plain dates takes what it needs and leaves the rest. Its numbers may have blanks before them, and be negative.
    let (year, rest) = leading_number(text)?;
    let (month, rest) = leading_number(rest.strip_prefix('-')?)?;
    let (day, _) = leading_number(rest.strip_prefix('-')?)?;
    Some(days(year, month, day) * 86_400_000)
}

/// A number at the beginning of a text, and what follows it.
fn leading_number(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = text.split_at(text.len() - digits.len() + end);
    Some((i64::from(number.parse::<i32>().ok()?), rest))
}

/// Milliseconds since the beginning of the day in UTC, of `23:44:59.487+0100`.
fn time_of_day(time: &str) -> Option<i64> {
    let number = |part: &str| part.parse::<i32>().ok().filter(|_| is_digits(part)).map(i64::from);
    let zone_at = time.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'));
    let (clock, zone) = time.split_at(zone_at?);
    let offset = match zone {
        "GMT" | "UTC" | "Z" => 0,
        _ => offset(zone)?,
    };
    let (clock, millis) = clock.split_once('.')?;
    let parts: Vec<i64> = clock.splitn(3, ':').map(number).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else {
        return None;
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + number(millis)? - offset)
}

/// `+0100` or `GMT+01:00`, in milliseconds.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.strip_prefix("GMT").unwrap_or(zone);
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(digits.len().checked_sub(2)?)?;
    Some(sign * (i64::from(hours.parse::<i32>().ok()?) * 60 + i64::from(minutes.parse::<i32>().ok()?)) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, millis) in [
            ("1970-01-02", Some(86_400_000)),
            ("2026-11-21T23:44:59.487GMT", Some(1_795_304_699_487)),
            ("2026-11-22T00:44:59.487+0100", Some(1_795_304_699_487)),
            ("3000-01-01", Some(32_503_680_000_000)),
            ("1970-01-02T00:00:00", Some(86_400_000)),
            ("1970-01-02T00:00:00.000", Some(86_400_000)),
            ("1970-1-2x", Some(86_400_000)),
            (" 1970-01- 2", Some(86_400_000)),
            ("1970--11-01", Some(-365 * 86_400_000)),
            ("1970-01", None),
            ("99999999999-01-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(moment(text), millis, "{text}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("a=1&b=x%20y+z&b=%C3%BC&flag=TRUE&n=x&quantiles=0.5,0.1");
        assert_eq!(query.all("b").collect::<Vec<_>>(), ["x y z", "ü"]);
        assert!(query.flag("flag", false) && query.flag("none", true) && !query.flag("a", true));
        assert_eq!(query.int("a", 0).unwrap(), 1);
        assert!(matches!(query.int("n", 0), Err(Failure::NoPage)));
        assert_eq!(query.quantiles(&[]).unwrap(), [0.1, 0.5]);
        for (text, expected) in [
            ("0.5,x", None),
            ("", None),
            (",0.5", None),
            ("0.5,", Some(vec![0.5])),
            (",", Some(vec![])),
            ("%20-Infinity,1.0f", Some(vec![f64::NEG_INFINITY, 1.0])),
        ] {
            let found = Query::parse(&format!("quantiles={text}")).quantiles(&[]);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{text}");
            assert!(found.is_ok() || matches!(found, Err(Failure::Bad(_))), "{text}");
        }
    }

    #[test]
    fn blank_and_unnamed_values() {
        let query = Query::parse("flag=&n=%20&status=&status=failed&minDate=");
        assert!(query.flag("flag", true));
        assert_eq!(query.int("n", 7).unwrap(), 7);
        assert_eq!(query.names("status", &["FAILED"]).unwrap(), [NO_NAME, "FAILED"]);
        assert_eq!(query.date("minDate", 3).unwrap(), 3);
        assert!(matches!(
            Query::parse("status=x").names("status", &["FAILED"]),
            Err(Failure::NoPage)
        ));
    }

    #[test]
    fn parameters_of_tables() {
        let of = |text: &str| TableQuery::of(&Query::parse(text));
        let query = of("order%5B0%5D%5Bdir%5D=asc&search[value]=a%252520b%2Bc&start=x&g=TRUE").unwrap();
        assert_eq!(query.first("order[0][dir]"), Some("asc"));
        assert_eq!(query.first("search[value]"), Some("a b c"));
        assert!(query.number("start").is_err() && query.number("none").is_err());
        assert_eq!(
            (
                query.number_or("none", 3).unwrap(),
                query.flag("g"),
                query.flag("start")
            ),
            (3, Some(true), None)
        );
        assert!(of("search[value]=%25").is_err());
    }
}
