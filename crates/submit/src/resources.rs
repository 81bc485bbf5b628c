//! GPUs and other extended resources: `spark.{driver,executor}.resource.NAME.{amount,vendor}`.

use crate::conf::{Conf, invalid};
use crate::error::PlanError;

/// What a role asks for: `(vendor/name, amount)`.
pub(crate) fn requested(conf: &Conf, role: &str) -> Result<Vec<(String, String)>, PlanError> {
    let prefix = format!("spark.{role}.resource.");
    let mut names: Vec<String> = Vec::new();
    for (rest, _) in conf.listed(&prefix) {
        let Some((name, _)) = rest.split_once('.') else {
            let key = format!("{prefix}{rest}");
            let value = conf.raw(&key).unwrap_or_default();
            return Err(invalid(
                &key,
                value,
                "write `.amount` or `.vendor` after the resource's name",
            ));
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let mut requested = Vec::with_capacity(names.len());
    for name in names {
        let amount_key = format!("{prefix}{name}.amount");
        let Some(amount) = conf.get(&amount_key) else {
            return Err(PlanError::MissingKey {
                key: amount_key,
                reason: format!("the resource `{name}` is configured without an amount"),
            });
        };
        let whole: i64 = amount
            .trim()
            .parse()
            .map_err(|_| invalid(&amount_key, &amount, "write a whole number"))?;
        if whole == 0 {
            continue;
        }
        let vendor_key = format!("{prefix}{name}.vendor");
        let Some(vendor) = conf.get(&vendor_key).filter(|vendor| !vendor.is_empty()) else {
            return Err(PlanError::MissingKey {
                key: vendor_key,
                reason: format!("Kubernetes names resources vendor/{name}, for example nvidia.com/gpu"),
            });
        };
        requested.push((format!("{vendor}/{name}"), whole.to_string()));
    }
    Ok(requested)
}
