//! The scale subresource: how many pods a workload has, in one form for every kind that can be scaled.

use serde_json::Value;

use super::update::OnConflict;
use super::{Registry, Request};
use crate::apimachinery::fields::Manager;
use crate::apimachinery::scale::{Paths, scale_of};
use crate::apimachinery::status::{FieldError, Status};

impl Registry {
    /// The Scale of an object.
    ///
    /// # Errors
    /// It is not there.
    pub fn scale(&self, request: &Request, paths: &Paths) -> Result<Value, Status> {
        let object = self.store.get(&request.key());
        let object = object.ok_or_else(|| Status::not_found(&request.qualified(), request.name()))?;
        Ok(scale_of(&object.value(), paths))
    }

    /// Changes an object by its Scale, and gives the new one.
    ///
    /// # Errors
    /// A negative count, or what [`Registry::change`] refuses.
    pub async fn rescale(
        &self,
        request: &Request,
        paths: &Paths,
        manager: &Manager,
        on_conflict: OnConflict,
        edit: impl Fn(&Value) -> Result<Value, Status>,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Status> {
        let change = |old: &Value, _: &Value| {
            let wanted = edit(&scale_of(old, paths))?;
            let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
            if replicas < 0 {
                let detail = "must be greater than or equal to 0";
                let error = FieldError::invalid("spec.replicas", &wanted["spec"]["replicas"], detail);
                return Err(Status::invalid("autoscaling", "Scale", request.name(), &[error]));
            }
            let mut new = old.clone();
            new["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
            new["metadata"]["uid"] = match &wanted["metadata"]["uid"] {
                Value::Null => old["metadata"]["uid"].clone(),
                uid => uid.clone(),
            };
            set(&mut new, &paths.replicas, replicas.into());
            Ok(new)
        };
        let changed = self
            .change(request, Some(manager), on_conflict, change, warnings)
            .await?;
        Ok(scale_of(&changed.value(), paths))
    }
}

fn set(value: &mut Value, pointer: &str, field: Value) {
    let mut place = value;
    for part in pointer.split('/').skip(1) {
        place = &mut place[part];
    }
    *place = field;
}
