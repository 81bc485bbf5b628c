//! Values that a chart's schema takes, by chance and the same each time.

use serde_json::{Value, json};
use stoke_platform::render::chart::OfEnvironment;
use stoke_platform::render::chart::knob::{Form, Knob};
use stoke_testkit::damage::Numbers;

/// Some values of an environment; of seed 0 none.
pub fn values(environment: &OfEnvironment, seed: u64) -> Vec<(Knob, Value)> {
    if seed == 0 {
        return Vec::new();
    }
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
    // Few of many, or most of them.
    let often = 1 + numbers.below(4);
    let mut set = Vec::new();
    for (knob, _) in &environment.values {
        if numbers.below(4) < often {
            set.push((knob.clone(), value(knob, &mut numbers)));
        }
    }
    // What a schema cannot say is wrong here and there only.
    for (least, most) in [
        ("executors.min", "executors.max"),
        ("resources.cpu", "resources.cpuLimit"),
    ] {
        for (knob, usual) in environment.values.iter().filter(|(knob, _)| knob.path == most) {
            let at = |set: &[(Knob, Value)], path: &str| {
                set.iter()
                    .position(|(of, _)| of.component == knob.component && of.path == path)
            };
            let usual_least = environment
                .values
                .iter()
                .find(|(of, _)| of.component == knob.component && of.path == least);
            let value =
                |at: Option<usize>, usual: Option<&Value>| at.map(|at| &set[at].1).or(usual).and_then(thousandths);
            let (low, high) = (at(&set, least), at(&set, most));
            let crossed = value(low, usual_least.and_then(|(_, usual)| usual.as_ref())) > value(high, usual.as_ref())
                && value(high, usual.as_ref()).is_some();
            if crossed && numbers.below(12) > 0 {
                set.retain(|(of, _)| of.component != knob.component || (of.path != least && of.path != most));
            }
        }
    }
    set
}

fn thousandths(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => Some(number.as_u64()? * 1000),
        other => match other.as_str()?.strip_suffix('m') {
            Some(millis) => millis.parse().ok(),
            None => Some(other.as_str()?.parse::<u64>().ok()? * 1000),
        },
    }
}

/// A value that a knob takes.
fn value(knob: &Knob, numbers: &mut Numbers) -> Value {
    let mut below = |end: usize| numbers.below(end);
    match knob.form {
        Form::Count => {
            let (least, most) = knob.bounds;
            let width = usize::try_from(most - least).unwrap() + 1;
            let few = width.min(5);
            let end = if below(3) == 0 { width } else { few };
            json!(least + i64::try_from(below(end)).unwrap())
        }
        Form::Cpu => match below(4) {
            0 => json!(1 + below(40)),
            1 => json!((1 + below(40)).to_string()),
            2 => json!(format!("{}m", (1 + below(12)) * 500)),
            _ => json!(format!("{}m", 1 + below(99_999))),
        },
        Form::Memory => match below(3) {
            0 => json!(format!("{}Gi", 1 + below(2048))),
            1 => json!(format!("{}Mi", (1 + below(64)) * 512)),
            _ => json!(format!("{}Mi", 64 + below(900_000))),
        },
        Form::Size => match below(4) {
            0 => json!(format!("{}Gi", 1 + below(99_999))),
            1 => json!(format!("{}Ti", 1 + below(99_999))),
            2 => json!(format!("{}Mi", (1 + below(64)) * 1024)),
            _ => json!(format!("{}Mi", 16 + below(9_999_000))),
        },
        Form::Heap => match below(2) {
            0 => json!(format!("{}g", 1 + below(512))),
            _ => json!(format!("{}m", 471 + below(90_000))),
        },
        Form::Name => json!(["standard", "gp3", "fast.ssd", "1", "true", "null-io", "on"][below(7)]),
        Form::Host => json!(format!(
            "{}.{}.example",
            knob.component,
            ["a", "b1", "1", "true"][below(4)]
        )),
        Form::Nodes => json!(knob.options[below(knob.options.len())]),
    }
}
