//! What is wrong with a schedule that [`stoke_model::cron`] does not read, in the words that Kubernetes answers with (those of `robfig/cron`).

use stoke_model::cron::{FIELDS, Field};

/// The first complaint about a schedule; `None` if that parser has none.
pub(super) fn complaint(schedule: &str) -> Option<String> {
    if let Some(word) = schedule.strip_prefix('@') {
        let known = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];
        let known = known.contains(&word) || word.starts_with("every ");
        return (!known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let count = fields.len();
        return Some(format!(
            "expected exactly 5 fields, found {count}: [{}]",
            fields.join(" ")
        ));
    }
    fields.iter().zip(FIELDS).find_map(|(text, field)| {
        let mut ranges = text.split(',').filter(|range| !range.is_empty());
        ranges.find_map(|range| check(range, &field).err())
    })
}

fn check(range: &str, field: &Field) -> Result<(), String> {
    let (least, most, names) = (i64::from(field.least), i64::from(field.most), field.words);
    let (ends, step) = match range.split('/').collect::<Vec<_>>()[..] {
        [ends] => (ends, None),
        [ends, step] => (ends, Some(step)),
        _ => return Err(format!("too many slashes: {range}")),
    };
    let (start, end) = match ends.split('-').collect::<Vec<_>>()[..] {
        ["*" | "?", ..] => (least, most),
        [one] => {
            let start = value(one, least, names)?;
            (start, if step.is_some() { most } else { start })
        }
        [start, end] => (value(start, least, names)?, value(end, least, names)?),
        _ => return Err(format!("too many hyphens: {range}")),
    };
    let step = step.map_or(Ok(1), number)?;
    if start < least {
        return Err(format!("beginning of range ({start}) below minimum ({least}): {range}"));
    }
    if end > most {
        return Err(format!("end of range ({end}) above maximum ({most}): {range}"));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {range}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {range}"));
    }
    Ok(())
}

fn value(text: &str, least: i64, names: &[&str]) -> Result<i64, String> {
    let named = names.iter().position(|name| *name == text.to_lowercase());
    let named = named.and_then(|place| i64::try_from(place).ok());
    named.map_or_else(|| number(text), |place| Ok(place + least))
}

fn number(text: &str) -> Result<i64, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn schedules_are_complained_of_as_everywhere_else() {
        for (schedule, expected) in [
            ("*/5 0-6 * jan-MAR mon,fri", None),
            ("@daily", None),
            ("@never", Some("unrecognized descriptor: @never")),
            ("* * *", Some("expected exactly 5 fields, found 3: [* * *]")),
            ("60 * * * *", Some("end of range (60) above maximum (59): 60")),
            ("* * 0 * *", Some("beginning of range (0) below minimum (1): 0")),
            ("1/2/3 * * * *", Some("too many slashes: 1/2/3")),
            ("1-2-3 * * * *", Some("too many hyphens: 1-2-3")),
            ("*/0 * * * *", Some("step of range should be a positive number: */0")),
            (
                "x * * * *",
                Some("failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ),
        ] {
            assert_eq!(complaint(schedule).as_deref(), expected, "{schedule}");
        }
    }
}
