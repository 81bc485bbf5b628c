//! A cluster as one visitor may see it: every request goes out with that visitor's own rights, bounded in time and in number.
//!
//! What it costs: a page about one application asks for the object, its pods and its events by field and label; the home page lists
//! applications, at most every two seconds for a visitor, or watches them where one visitor owns the server ([`watched`]). Of a list only a
//! [`row::Row`] is kept for each application.

pub mod changes;
pub mod known;
pub mod life;
pub mod logs;
pub mod pods;
pub mod row;
pub mod sql;
pub mod watched;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Node, Pod, ResourceQuota};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Map, Value};
use stoke_model::crd::{SparkApplication, SparkConnect};
use stoke_model::names;
use tokio::sync::{Mutex, Semaphore};

use row::Row;
use watched::Watched;

/// A request that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a list of applications is shown again before the API server is asked for a new one.
const FRESH: Duration = Duration::from_secs(2);
/// Objects of a page of a list.
const PAGE: u32 = 500;
/// Objects of a list that are read at all.
const MOST: usize = 20_000;
/// Events of one object that are shown.
const EVENTS: u32 = 200;

/// Why the API server gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Its status; 0 when there was no answer at all.
    pub status: u16,
    /// In its words.
    pub message: String,
}

impl Refusal {
    /// Of an error of the client.
    pub fn of(error: &kube::Error) -> Refusal {
        match error {
            kube::Error::Api(status) => Refusal {
                status: status.code,
                message: status.message.clone(),
            },
            other => Refusal {
                status: 0,
                message: other.to_string(),
            },
        }
    }

    fn late() -> Refusal {
        Refusal {
            status: 0,
            message: format!("no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// What is known of the list of applications.
type Listed = Result<Arc<Vec<Row>>, Refusal>;

/// A cluster as one visitor may see it.
pub struct Live {
    client: Client,
    /// None: all.
    namespaces: Vec<String>,
    asked: Arc<Semaphore>,
    watched: Option<Watched>,
    kept: Mutex<Option<(Instant, Listed)>>,
    /// Whether what is kept is known to be old.
    is_old: AtomicBool,
}

impl fmt::Debug for Live {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Live")
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// What `client` may see of these namespaces (none: all), asked for when it is needed.
    pub fn new(client: Client, namespaces: Vec<String>, asked: Arc<Semaphore>) -> Live {
        Live {
            client,
            namespaces,
            asked,
            watched: None,
            kept: Mutex::default(),
            is_old: AtomicBool::new(false),
        }
    }

    /// The same, with applications watched as long as this is kept.
    pub fn watching(client: Client, namespaces: Vec<String>, asked: Arc<Semaphore>) -> Live {
        let watched = Watched::start(&client, &namespaces);
        Live {
            watched: Some(watched),
            ..Live::new(client, namespaces, asked)
        }
    }

    /// A cluster without an API server, for tests of what does not ask.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Live {
        let refuse = tower::service_fn(async |_: http::Request<kube::client::Body>| {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nothing is here"))
        });
        Live::new(Client::new(refuse, "default"), Vec::new(), Arc::new(Semaphore::new(1)))
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespaces that were chosen; none: all.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// Asks in turn, and not for too long.
    ///
    /// # Errors
    /// What the API server says, or that it says nothing.
    pub async fn asked<T>(&self, asking: impl Future<Output = kube::Result<T>>) -> Result<T, Refusal> {
        let asked = async {
            let _turn = self.asked.acquire().await;
            asking.await
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(|error| Refusal::of(&error)),
            Err(_) => Err(Refusal::late()),
        }
    }

    /// The applications, in no order.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn applications(&self) -> Listed {
        if let Some(watched) = &self.watched {
            return watched.rows().await;
        }
        let mut kept = self.kept.lock().await;
        let is_old = self.is_old.swap(false, Ordering::AcqRel);
        if let Some((at, known)) = kept.as_ref().filter(|(at, _)| !is_old && at.elapsed() < FRESH) {
            tracing::trace!(age = ?at.elapsed(), "a list is shown again");
            return known.clone();
        }
        let listed = self.list(&applications(), Row::of).await.map(Arc::new);
        *kept = Some((Instant::now(), listed.clone()));
        listed
    }

    /// Has the applications listed when they are asked for next: they have changed.
    pub fn list_again(&self) {
        self.is_old.store(true, Ordering::Release);
    }

    /// Connect servers.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn connect_servers(&self) -> Result<Vec<DynamicObject>, Refusal> {
        self.list(&ApiResource::erase::<SparkConnect>(&()), Clone::clone).await
    }

    /// Objects of the chosen namespaces, page by page; of each only what is made of it is kept.
    async fn list<T>(&self, kind: &ApiResource, made: impl Fn(&DynamicObject) -> T) -> Result<Vec<T>, Refusal> {
        self.paged(self.dynamic(kind), "", made).await
    }

    /// Where objects of a kind are asked for: in each of the chosen namespaces, or in all at once.
    fn dynamic(&self, kind: &ApiResource) -> Vec<Api<DynamicObject>> {
        match self.namespaces.as_slice() {
            [] => vec![Api::all_with(self.client(), kind)],
            chosen => {
                let of = |namespace: &String| Api::namespaced_with(self.client(), namespace, kind);
                chosen.iter().map(of).collect()
            }
        }
    }

    async fn paged<K, T>(&self, apis: Vec<Api<K>>, fields: &str, made: impl Fn(&K) -> T) -> Result<Vec<T>, Refusal>
    where
        K: Clone + serde::de::DeserializeOwned + fmt::Debug,
    {
        let mut all = Vec::new();
        for api in apis {
            let mut terms = ListParams::default().limit(PAGE).fields(fields);
            loop {
                let page = self.asked(api.list(&terms)).await?;
                all.extend(page.items.iter().map(&made));
                let next = page
                    .metadata
                    .continue_
                    .filter(|next| !next.is_empty() && all.len() < MOST);
                let Some(next) = next else { break };
                terms = terms.continue_token(&next);
            }
        }
        Ok(all)
    }

    /// An application.
    ///
    /// # Errors
    /// What the API server says; 404 when it is not there.
    pub async fn application(&self, namespace: &str, name: &str) -> Result<DynamicObject, Refusal> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &applications());
        self.asked(api.get(name)).await
    }

    /// Changes an application by a merge patch, if it still is of this version; where it is `dry`, the API server only says what would be.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn change(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
        version: Option<&str>,
        dry: bool,
    ) -> Result<DynamicObject, Refusal> {
        let mut patch = patch.clone();
        let metadata = patch
            .as_object_mut()
            .map(|patch| patch.entry("metadata").or_insert_with(|| Value::Object(Map::new())));
        if let (Some(version), Some(Value::Object(metadata))) = (version, metadata) {
            metadata.insert("resourceVersion".to_owned(), version.into());
        }
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &applications());
        let terms = PatchParams {
            dry_run: dry,
            field_manager: Some("stoke-console".to_owned()),
            ..PatchParams::default()
        };
        self.asked(api.patch(name, &terms, &Patch::Merge(&patch))).await
    }

    /// The pods of an application, of all its attempts that are there.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn pods_of(&self, namespace: &str, name: &str) -> Result<Vec<Pod>, Refusal> {
        let api: Api<Pod> = Api::namespaced(self.client(), namespace);
        let terms = ListParams::default()
            .labels(&format!("{}={name}", names::LABEL_APP_NAME))
            .limit(PAGE);
        self.asked(api.list(&terms)).await.map(|list| list.items)
    }

    /// Events about an object.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn events_of(&self, namespace: &str, kind: &str, name: &str) -> Result<Vec<Event>, Refusal> {
        let api: Api<Event> = Api::namespaced(self.client(), namespace);
        let about = format!("involvedObject.kind={kind},involvedObject.name={name}");
        let terms = ListParams::default().fields(&about).limit(EVENTS);
        self.asked(api.list(&terms)).await.map(|list| list.items)
    }

    /// Pods of the chosen namespaces, those that ended left out.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn pods(&self) -> Result<Vec<Pod>, Refusal> {
        let alive = "status.phase!=Succeeded,status.phase!=Failed";
        self.paged(self.apis(), alive, Pod::clone).await
    }

    /// Quotas of the chosen namespaces.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn quotas(&self) -> Result<Vec<ResourceQuota>, Refusal> {
        self.paged(self.apis(), "", ResourceQuota::clone).await
    }

    fn apis<K>(&self) -> Vec<Api<K>>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match self.namespaces.as_slice() {
            [] => vec![Api::all(self.client())],
            chosen => {
                let of = |namespace: &String| Api::namespaced(self.client(), namespace);
                chosen.iter().map(of).collect()
            }
        }
    }

    /// The nodes.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn nodes(&self) -> Result<Vec<Node>, Refusal> {
        let api: Api<Node> = Api::all(self.client());
        let terms = ListParams::default().limit(PAGE);
        self.asked(api.list(&terms)).await.map(|list| list.items)
    }
}

/// The kind of applications, read as they are: one that is not as it should be must not hide the others.
pub(crate) fn applications() -> ApiResource {
    ApiResource::erase::<SparkApplication>(&())
}
