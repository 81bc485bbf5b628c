//! What the quotas of each namespace have left, kept so that concurrent requests cannot both take the last of it.
//!
//! A namespace's book is locked from the check of a request to the end of its write, and while it is recounted. Namespaces without a quota
//! have no book and pay nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::apimachinery::allowance::quota::{in_scope, increase, refusal, usage};
use crate::apimachinery::allowance::resources::{Amounts, add, read};
use crate::apimachinery::resources::{Resource, Resources};
use crate::apimachinery::status::Status;
use crate::store::{ResourceKey, Store};

/// What is used of each quota of a namespace, by the quota's UID.
#[derive(Debug, Default)]
pub struct Book {
    used: HashMap<Box<str>, Amounts>,
}

impl Book {
    /// What is used of a quota; counted if that is not known of everything the quota limits.
    fn known(&mut self, uid: &str, hard: &Amounts, count: impl FnOnce() -> Amounts) -> &Amounts {
        let complete = self
            .used
            .get(uid)
            .is_some_and(|used| hard.keys().all(|name| used.contains_key(name)));
        if !complete {
            self.used.insert(uid.into(), count());
        }
        self.used.entry(uid.into()).or_default()
    }
}

/// The books of all namespaces.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<HashMap<Box<str>, Arc<tokio::sync::Mutex<Book>>>>,
}

/// An object that was found to fit; it is booked when it is stored.
#[derive(Debug)]
pub struct Reservation {
    book: OwnedMutexGuard<Book>,
    additions: Vec<(Box<str>, Amounts)>,
}

impl Reservation {
    /// The object is stored.
    pub fn book(mut self) {
        for (quota, amounts) in std::mem::take(&mut self.additions) {
            if let Some(used) = self.book.used.get_mut(&quota) {
                add(used, &amounts);
            }
        }
    }
}

impl Ledger {
    /// Locks a namespace's book.
    pub async fn open(&self, namespace: &str) -> OwnedMutexGuard<Book> {
        let book = {
            let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
            books.entry(namespace.into()).or_default().clone()
        };
        book.lock_owned().await
    }

    /// Checks a new object, or what it uses more than its predecessor, against the quotas of its namespace. Nothing is booked before
    /// [`Reservation::book`].
    pub async fn reserve(
        &self,
        store: &Store,
        resources: &Resources,
        resource: &Resource,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<Option<Reservation>, Status> {
        if !resource.namespaced || &*resource.key == "events" {
            return Ok(None);
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let key: ResourceKey = "resourcequotas".into();
        if store.list(&key, Some(namespace), None, 1, |_| true).items.is_empty() {
            return Ok(None);
        }
        let wanted = old.map_or_else(|| usage(resource, object), |old| increase(resource, old, object));
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut book = self.open(namespace).await;
        let mut additions = Vec::new();
        for quota in store.list(&key, Some(namespace), None, usize::MAX, |_| true).items {
            let value = quota.value();
            if !in_scope(&value, resource, object) {
                continue;
            }
            let hard = read(&value["spec"]["hard"]);
            let uid = quota.fields.uid.clone();
            let used = book.known(&uid, &hard, || counted(store, resources, namespace, &value));
            if let Some(why) = refusal(&quota.key.name, &hard, used, &wanted, resource, object) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                return Err(Status::forbidden(&resource.qualified(), name, why));
            }
            let mut amounts = wanted.clone();
            amounts.retain(|name, _| hard.contains_key(name));
            additions.push((uid, amounts));
        }
        Ok(Some(Reservation { book, additions }))
    }

    /// Counts a quota again and returns what is used of it.
    pub async fn recount(&self, store: &Store, resources: &Resources, namespace: &str, quota: &Value) -> Amounts {
        let mut book = self.open(namespace).await;
        let uid = quota["metadata"]["uid"].as_str().unwrap_or_default();
        let used = counted(store, resources, namespace, quota);
        book.used.insert(uid.into(), used.clone());
        used
    }

    /// What is used of a quota, without counting if that is known.
    pub async fn used(&self, store: &Store, resources: &Resources, namespace: &str, quota: &Value) -> Amounts {
        let mut book = self.open(namespace).await;
        let uid = quota["metadata"]["uid"].as_str().unwrap_or_default();
        let hard = read(&quota["spec"]["hard"]);
        book.known(uid, &hard, || counted(store, resources, namespace, quota))
            .clone()
    }
}

/// Counts what the objects of a namespace use of a quota.
fn counted(store: &Store, resources: &Resources, namespace: &str, quota: &Value) -> Amounts {
    let hard = read(&quota["spec"]["hard"]);
    let mut used: Amounts = hard.keys().map(|name| (name.clone(), 0)).collect();
    for key in store.resources_in(namespace) {
        let Some(resource) = resources.by_key(&key) else {
            continue;
        };
        if !limits(&hard, &resource) {
            continue;
        }
        for object in store.list(&key, Some(namespace), None, usize::MAX, |_| true).items {
            let value = object.value();
            if in_scope(quota, &resource, &value) {
                let mut amounts = usage(&resource, &value);
                amounts.retain(|name, _| hard.contains_key(name));
                add(&mut used, &amounts);
            }
        }
    }
    used
}

/// Whether a quota limits anything of a resource.
pub fn limits(hard: &Amounts, resource: &Resource) -> bool {
    hard.keys().any(|name| match name.strip_prefix("count/") {
        Some(counted) => counted == resource.qualified(),
        None => match &*resource.key {
            "pods" => {
                !name.contains("storageclass") && name != "requests.storage" && !name.starts_with("services")
                    || name == "pods"
            }
            "services" => name.starts_with("services"),
            "persistentvolumeclaims" => {
                name == "requests.storage" || name == "persistentvolumeclaims" || name.contains(".storageclass.")
            }
            _ => resource.group.is_empty() && *name == resource.plural,
        },
    })
}
