//! What a Spark Connect server costs while it is there: driver and executors as its spec asks for them, without sidecars.
//!
//! It is priced as a run is: as one that lasts for the time that is asked about.

use jiff::Timestamp;
use stoke_model::crd::SparkConnect;
use stoke_submit::application::Settings;
use stoke_submit::connect::configuration;

use super::bill::of;
use super::money::Money;
use super::{Amounts, CostError, Prices};
use crate::facts::Run;
use crate::facts::run::{DRIVER, Executor};

/// Executors where nothing is said, as in Spark.
const EXECUTORS: u32 = 2;

/// What a server reserves in a span of time, and what that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    pub driver: Amounts,
    /// Each.
    pub executor: Amounts,
    /// The most there can be; none where dynamic allocation has no bound.
    pub executors: Option<u32>,
    /// None without prices.
    pub currency: Option<String>,
}

impl Estimate {
    /// The server with as many executors as there can be; none where that has no bound.
    pub fn at_most(&self) -> Option<Amounts> {
        let times = |amount: i128| amount.saturating_mul(i128::from(self.executors.unwrap_or_default()));
        self.executors?;
        let executors = Amounts {
            cost: Money::of_nanos(times(self.executor.cost.nanos())),
            list_cost: Money::of_nanos(times(self.executor.list_cost.nanos())),
            millicore_milliseconds: times(self.executor.millicore_milliseconds),
            memory_byte_milliseconds: times(self.executor.memory_byte_milliseconds),
            storage_byte_milliseconds: times(self.executor.storage_byte_milliseconds),
            gpu_milliseconds: times(self.executor.gpu_milliseconds),
        };
        Some(self.driver + executors)
    }
}

/// What a server of this spec reserves in so many milliseconds from `now` on.
///
/// # Errors
/// What is wrong with the spec; no price for it.
pub fn of_server(
    connect: &SparkConnect,
    prices: Option<&Prices>,
    now: i64,
    milliseconds: i64,
) -> Result<Estimate, CostError> {
    let wrong = |error: &dyn std::fmt::Display| CostError::Setting(error.to_string());
    // Neither the server's address nor the time is in what a server asks for.
    let settings = Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH);
    let spark = configuration(connect, &settings).map_err(|error| wrong(&error))?;
    let number = |key: &str, default: u32| match spark.get(key).map(|text| text.trim()) {
        None => Ok(default),
        Some(text) => text
            .parse::<u32>()
            .map_err(|_| wrong(&format!("`{key}` = `{text}` is not a whole number"))),
    };
    let is_on = |key: &str| {
        spark
            .get(key)
            .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    };
    let executors = match is_on("spark.dynamicAllocation.enabled") {
        false => Some(number("spark.executor.instances", EXECUTORS)?),
        true => match number("spark.dynamicAllocation.maxExecutors", u32::MAX)? {
            // As Spark's own default, which is no bound.
            2_147_483_647.. => None,
            bound => Some(bound),
        },
    };
    let until = now.saturating_add(milliseconds);
    let executor = Executor {
        id: "1".to_owned(),
        cores: number("spark.executor.cores", 1)?,
        added: now,
        ..Executor::default()
    };
    let run = Run {
        spark_version: connect.spec.spark_version.clone(),
        spark,
        started: now,
        ended: Some(until),
        last_event: until,
        executors: vec![executor],
        ..Run::default()
    };
    let bill = of(&run, None, prices)?;
    let amounts = |of_driver: bool| {
        let own = bill.holders.iter().filter(|part| (part.name == DRIVER) == of_driver);
        own.map(|part| part.amounts).sum()
    };
    Ok(Estimate {
        driver: amounts(true),
        executor: amounts(false),
        executors,
        currency: bill.currency,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server(conf: serde_json::Value, more: serde_json::Value) -> SparkConnect {
        let mut object = json!({
            "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "c", "namespace": "n", "uid": "u"},
            "spec": {"sparkVersion": "4.1.4", "image": "a/b:1", "sparkConf": conf,
                "server": {"cores": 1, "memory": "1g"}, "executor": {"cores": 2, "memory": "2g", "instances": 3}},
        });
        for (key, value) in more.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_server_costs_what_its_driver_and_executors_reserve() {
        let text = "currency: EUR\nprices:\n- {cpuHour: 1, gibHour: 0}\n- {cpuHour: 0.5, gibHour: 0, capacity: spot}\n";
        let prices = Prices::read("p.yaml", text).unwrap();
        let hour = 3_600_000;
        let dynamic = |bound: serde_json::Value| json!({"dynamicAllocation": bound});
        let spot = json!({"spark.kubernetes.node.selector.karpenter.sh/capacity-type": "spot"});
        for (conf, more, milliseconds, executors, most) in [
            (json!({}), json!({}), hour, Some(3), Some("7")),
            (json!({}), json!({}), 30_000, Some(3), Some("0.058333334")),
            (spot, json!({}), hour, Some(3), Some("3.5")),
            (
                json!({}),
                dynamic(json!({"enabled": true, "maxExecutors": 10})),
                hour,
                Some(10),
                Some("21"),
            ),
            (json!({}), dynamic(json!({"enabled": true})), hour, None, None),
            (
                json!({"spark.kubernetes.executor.request.cores": "500m"}),
                json!({}),
                hour,
                Some(3),
                Some("2.5"),
            ),
        ] {
            let found = of_server(&server(conf, more), Some(&prices), 1_800_000_000_000, milliseconds).unwrap();
            assert_eq!(found.executors, executors);
            let most = most.map(str::to_owned);
            assert_eq!(
                found.at_most().map(|amounts| amounts.cost.to_string()),
                most,
                "{found:?}"
            );
        }
        let found = of_server(&server(json!({}), json!({})), None, 0, hour).unwrap();
        assert_eq!(
            (found.currency.clone(), found.at_most().unwrap().core_seconds()),
            (None, 7 * 3600)
        );
        let gib = found.at_most().unwrap().gib_seconds() / 3600;
        assert_eq!(gib, 8, "heaps with what is beside them");
        assert!(
            of_server(
                &server(json!({"spark.executor.memory": "x"}), json!({"executor": {}})),
                None,
                0,
                hour
            )
            .is_err()
        );
    }
}
