//! Object store, database and metastore.

use serde_json::json;

use super::making::Making;
use crate::helm::values::Scalar;

pub(super) const FILES: &str = "files";
pub(super) const DATABASE: &str = "database";
pub(super) const METASTORE: &str = "metastore";
/// The Secret with the keys of the store, where the values name none.
pub(super) const STORE_KEYS: &str = "store-keys";
const LOGIN: &str = "database-login";

/// What of them there is.
#[derive(Default)]
pub(super) struct Stores {
    /// Buckets with the components that they are, the first of them `files`.
    pub(super) buckets: Vec<(String, String)>,
    /// Whether there is a store at all, or something that needs one.
    pub(super) metastore: bool,
}

impl Stores {
    /// The component of a bucket.
    pub(super) fn of(&self, bucket: &str) -> Option<&str> {
        let found = self.buckets.iter().find(|(name, _)| name == bucket);
        found.map(|(_, component)| component.as_str())
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.buckets.first().map(|(_, component)| component.as_str())
    }
}

/// Bucket and folder of `s3a://BUCKET/FOLDER`.
pub(super) fn place(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    (["s3a", "s3", "s3n"].contains(&scheme) && !bucket.is_empty()).then(|| (bucket, folder.trim_matches('/')))
}

/// Values that name a place in a bucket.
const PLACES: [&str; 6] = [
    "hiveMetastore.warehouse",
    "hiveMetastore.warehouseDir",
    "spark-base.core.hiveMetastore.warehouse",
    "spark-base.core.hiveMetastore.warehouseDir",
    "connect.eventLog.dir",
    "historyServer.logDirectory",
];

/// Roots of charts that bring an object store.
const MINIO: [&str; 2] = ["minio", "spark-base.minio"];

pub(super) fn convert(making: &mut Making<'_>) -> Stores {
    making.switch("spark-base.enabled");
    let mut stores = Stores::default();
    let s3 = making.is_on("global.s3");
    let own: Vec<&str> = MINIO.into_iter().filter(|root| making.is_on(root)).collect();
    let bucket = making.first("global.s3", &["bucket", "bucketName"]).filter(|_| s3);
    if let Some(bucket) = &bucket {
        stores.buckets.push((bucket.text.clone(), FILES.to_owned()));
        making.put(bucket, &["components", FILES, "bucket"], bucket.text.as_str());
    }
    if s3 || !own.is_empty() {
        for path in PLACES {
            let Some(scalar) = making.text(path) else { continue };
            if let Some((bucket, _)) = place(&scalar.text) {
                add(making, &mut stores, bucket);
            }
        }
        for root in &own {
            buckets(making, &mut stores, root);
        }
        if stores.buckets.is_empty() {
            let root = if s3 {
                "global.s3"
            } else {
                own.first().copied().unwrap_or("minio")
            };
            making.lacks(
                root,
                "an object store is a bucket here, and the values name none",
                "add `bucket: NAME` to global.s3",
            );
        }
    }
    for (_, component) in stores.buckets.clone() {
        login(making, &component, s3, &own);
    }
    for root in own {
        making.accounted(&format!("{root}.enabled"));
        making.elsewhere(
            root,
            "a store is outside of a platform: keep its own chart or operator; `stoke platform up` has one",
        );
    }
    database_and_metastore(making, &mut stores);
    stores
}

/// A bucket as a component, unless it is one.
fn add(making: &mut Making<'_>, stores: &mut Stores, bucket: &str) {
    if stores.of(bucket).is_some() {
        return;
    }
    let component = match stores.buckets.len() {
        0 => FILES.to_owned(),
        count => format!("{FILES}-{}", count + 1),
    };
    making.set(&["components", &component, "bucket"], bucket);
    stores.buckets.push((bucket.to_owned(), component));
}

/// Buckets that a chart of MinIO makes: a list of names or of mappings, or a text with commas.
fn buckets(making: &mut Making<'_>, stores: &mut Stores, root: &str) {
    for key in ["buckets", "defaultBuckets"] {
        let path = format!("{root}.{key}");
        let Some(node) = making.values.look(&path) else {
            continue;
        };
        let of_list = node
            .items()
            .iter()
            .filter_map(|item| item.as_str().or_else(|| item.get("name")?.as_str()));
        let names: Vec<String> = match node.as_str() {
            Some(text) => text
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
            None => of_list.map(str::to_owned).collect(),
        };
        if names.is_empty() {
            continue;
        }
        if stores.buckets.is_empty() {
            let first = names
                .iter()
                .find(|name| name.contains("warehouse"))
                .unwrap_or(&names[0])
                .clone();
            add(making, stores, &first);
        }
        let unused: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| stores.of(name).is_none())
            .collect();
        if !unused.is_empty() {
            let message = format!(
                "nothing of the platform uses {}: make them in the store, or add a component for each",
                unused.join(", ")
            );
            making.elsewhere(&path, &message);
        }
        making.accounted(&path);
    }
}

/// How a store is asked.
fn login(making: &mut Making<'_>, component: &str, s3: bool, own: &[&str]) {
    making.set(&["components", component, "kind"], "object-store");
    let at = |key: &'static str| ["components", component, key].map(str::to_owned);
    let put = |making: &mut Making<'_>, from: &Scalar, key: &'static str, value: serde_json::Value| {
        let to = at(key);
        making.put(from, &to.each_ref().map(String::as_str), value);
    };
    let endpoint = making.first("global.s3", &["endpoint"]).filter(|_| s3);
    match &endpoint {
        Some(endpoint) => {
            let text = match endpoint.text.contains("://") {
                true => endpoint.text.clone(),
                false => format!("http://{}", endpoint.text),
            };
            put(making, endpoint, "endpoint", json!(text));
        }
        None if !own.is_empty() => {
            making.set(&["components", component, "endpoint"], "http://minio:9000");
            making.set(&["components", component, "pathStyle"], true);
        }
        None => {}
    }
    if let Some(style) = making.first("global.s3", &["pathStyleAccess", "pathStyle"]) {
        match endpoint.is_some() || !own.is_empty() || style.text != "true" {
            true => put(making, &style, "pathStyle", json!(style.text == "true")),
            false => making.changed(
                &style,
                "without `endpoint` it is Amazon's store, which is addressed by host names",
                "add the `endpoint` of your server",
            ),
        }
    }
    if let Some(region) = making.text("global.s3.region") {
        put(making, &region, "region", json!(region.text));
    }
    if let Some(ssl) = making.text("global.s3.sslEnabled") {
        let is_said = endpoint
            .as_ref()
            .is_none_or(|endpoint| endpoint.text.starts_with("https") == (ssl.text == "true"));
        match is_said {
            true => making.accounted(&ssl.path),
            false => making.changed(
                &ssl,
                "whether TLS is spoken is said by the scheme of `endpoint`, and they differ",
                "write https:// or http:// there",
            ),
        }
    }
    if let Some(role) = making.first("serviceAccount.annotations", &["eks.amazonaws.com/role-arn"]) {
        put(making, &role, "role", json!(role.text));
        return;
    }
    let existing = making.first("global.s3", &["existingSecret", "secretName"]);
    let (access, secret) = ("global.s3.accessKey", "global.s3.secretKey");
    let credentials = ["components", component, "credentials"];
    match existing {
        Some(existing) => {
            making.put(
                &existing,
                &["components", component, "credentials", "secret"],
                existing.text.as_str(),
            );
            let keys = [
                ("accessKeyKey", "accessKey", "access-key"),
                ("secretKeyKey", "secretKey", "secret-key"),
            ];
            for (from, to, usual) in keys {
                match making.text(&format!("global.s3.{from}")) {
                    Some(key) => making.put(&key, &["components", component, "credentials", to], key.text.as_str()),
                    None => making.set(&["components", component, "credentials", to], usual),
                }
            }
            making.changed(
                &existing,
                "its keys are taken to be `access-key` and `secret-key`",
                "change `credentials` where they are called otherwise",
            );
            for path in [access, secret] {
                if let Some(plain) = making.text(path) {
                    making.idle(
                        &plain,
                        "it did nothing in the kit beside `existingSecret`",
                        "take the value out of the file",
                    );
                }
            }
        }
        None => {
            let mut named = making.secret(access, STORE_KEYS, "accessKey");
            named |= making.secret(secret, STORE_KEYS, "secretKey");
            for root in own {
                for (keys, key) in [
                    (["rootUser", "accessKey"], "accessKey"),
                    (["rootPassword", "secretKey"], "secretKey"),
                ] {
                    for of in keys {
                        named |= making.secret(&format!("{root}.{of}"), STORE_KEYS, key);
                        named |= making.secret(&format!("{root}.auth.{of}"), STORE_KEYS, key);
                    }
                }
            }
            if named || !own.is_empty() {
                making.set(&credentials, json!({"secret": STORE_KEYS}));
            }
        }
    }
}

const POSTGRESQL: [&str; 2] = ["postgresql", "spark-base.postgresql"];
const METASTORES: [&str; 2] = ["hiveMetastore", "spark-base.core.hiveMetastore"];

fn database_and_metastore(making: &mut Making<'_>, stores: &mut Stores) {
    for root in POSTGRESQL {
        if making.is_on(root) {
            postgresql(making, root);
        }
    }
    for root in METASTORES {
        if making.is_on(root) {
            stores.metastore = true;
            metastore(making, stores, root);
        }
    }
}

/// The database, also where nothing but its use is said.
pub(super) fn need_database(making: &mut Making<'_>, root: &str) {
    if making.has(&["components", DATABASE]) {
        return;
    }
    making.set(
        &["components", DATABASE],
        json!({"kind": "postgresql", "login": {"secret": LOGIN}}),
    );
    let place = making.values.place(root);
    let message = format!(
        "it needs a database, and the values name none: the component `{DATABASE}` is made, with its login in the Secret `{LOGIN}`"
    );
    making.report.changed(place, root, message, "");
}

fn postgresql(making: &mut Making<'_>, root: &str) {
    let at = |keys: &[&'static str]| -> Vec<&'static str> {
        ["components", DATABASE]
            .into_iter()
            .chain(keys.iter().copied())
            .collect()
    };
    making.set(&at(&["kind"]), "postgresql");
    if let Some(tag) = making.first(root, &["image.tag", "version"]) {
        let major = tag.text.split(['.', '-']).next().unwrap_or_default().to_owned();
        match major.as_str() {
            "15" => making.put(&tag, &at(&["version"]), "15"),
            _ => making.changed(
                &tag,
                format!("PostgreSQL {major} was not tried: the database is of version 15"),
                "dump and restore what is in the old one",
            ),
        }
    }
    for key in ["image.repository", "image.registry", "image.pullPolicy"] {
        if let Some(part) = making.text(&format!("{root}.{key}")) {
            making.changed(
                &part,
                "the image is PostgreSQL's own: charts' images have another layout",
                "write `image` in the component where it must be another",
            );
        }
    }
    let existing = making.first(root, &["auth.existingSecret", "existingSecret"]);
    match &existing {
        Some(existing) => making.put(existing, &at(&["login", "secret"]), existing.text.as_str()),
        None => making.set(&at(&["login", "secret"]), LOGIN),
    }
    let name = existing
        .as_ref()
        .map_or_else(|| LOGIN.to_owned(), |existing| existing.text.clone());
    for (key, field) in [
        ("auth.username", "username"),
        ("auth.user", "username"),
        ("username", "username"),
        ("user", "username"),
    ] {
        if let Some(user) = making.text(&format!("{root}.{key}")) {
            let message = format!("the name of the user is in the Secret `{name}` too, as `{field}`");
            making.changed(&user, message, "create the Secret with it");
        }
    }
    for key in ["auth.password", "auth.postgresPassword", "password", "postgresPassword"] {
        making.secret(&format!("{root}.{key}"), &name, "password");
    }
    if let Some(key) = making.text(&format!("{root}.auth.secretKeys.userPasswordKey")) {
        making.put(&key, &at(&["login", "password"]), key.text.as_str());
    }
    let is_used = METASTORES.iter().any(|root| making.is_on(root));
    for key in ["auth.database", "database"] {
        let Some(database) = making.text(&format!("{root}.{key}")) else {
            continue;
        };
        match is_used {
            true => {
                let name = database.text.replace('-', "_");
                making.put(&database, &["components", METASTORE, "database", "name"], name);
            }
            false => making.changed(
                &database,
                "each component has a database of its own, which it makes",
                "",
            ),
        }
    }
    let storage = ["persistence", "primary.persistence", "storage"].map(|key| format!("{root}.{key}"));
    making.storage(&storage, &["components", DATABASE]);
    for key in ["resources", "primary.resources"] {
        making.resources(&format!("{root}.{key}"), &["components", DATABASE]);
    }
    if let Some(host) = making.first(root, &["host", "externalHost"]) {
        making.put(&host, &at(&["outside", "host"]), host.text.as_str());
        if let Some(port) = making.first(root, &["port"]) {
            match port.text.parse::<u16>() {
                Ok(number) => making.put(&port, &at(&["outside", "port"]), number),
                Err(_) => making.lost(&port, format!("{} is not a port", port.text), "write a number"),
            }
        }
    }
}

fn metastore(making: &mut Making<'_>, stores: &Stores, root: &str) {
    let to = ["components", METASTORE];
    let at = |key: &'static str| ["components", METASTORE, key];
    making.set(&at("kind"), "hive-metastore");
    if let Some(version) = making.first(root, &["version", "image.tag"]) {
        let number: String = version
            .text
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        match number.starts_with('4') {
            true => {
                let message = format!(
                    "Hive Metastore {} and Spark fail together: Spark's client calls get_table, which Hive 4 no longer has (HIVE-26537), and no table can be created",
                    version.text
                );
                making.lost(&version, message, "use metastore 3.1.3");
            }
            false => making.put(&version, &at("version"), number.trim_end_matches('.')),
        }
    }
    if let Some(repository) = making.text(&format!("{root}.image.repository")) {
        match repository.text.ends_with("apache/hive") {
            true => making.accounted(&repository.path),
            false => {
                let tag = making
                    .text(&format!("{root}.image.tag"))
                    .map_or_else(String::new, |tag| format!(":{}", tag.text));
                making.put(&repository, &at("image"), format!("{}{tag}", repository.text));
            }
        }
    }
    need_database(making, root);
    making.set(&["components", METASTORE, "database", "component"], DATABASE);
    if let Some(name) = making.first(root, &["database.name", "db.name"]) {
        making.put(
            &name,
            &["components", METASTORE, "database", "name"],
            name.text.replace('-', "_"),
        );
    }
    for key in ["database.password", "db.password", "database.username", "database.user"] {
        making.secret(
            &format!("{root}.{key}"),
            LOGIN,
            if key.ends_with("password") {
                "password"
            } else {
                "username"
            },
        );
    }
    for key in ["database.host", "database.port", "database.type", "db.host", "db.port"] {
        if let Some(part) = making.text(&format!("{root}.{key}")) {
            making.changed(
                &part,
                format!("the metastore keeps its tables in the component `{DATABASE}`"),
                "write `outside` there where it must be another server",
            );
        }
    }
    let warehouse = making.first(root, &["warehouse", "warehouseDir"]);
    match warehouse.as_ref().and_then(|of| Some((of, place(&of.text)?))) {
        Some((from, (bucket, folder))) if stores.of(bucket).is_some() => {
            making.set(&at("store"), stores.of(bucket));
            if !folder.is_empty() {
                making.set(&at("path"), folder);
            }
            let origin = if folder.is_empty() { "store" } else { "path" };
            making
                .origins
                .insert(format!("components.{METASTORE}.{origin}"), from.path.clone());
            making.accounted(&from.path);
        }
        _ => {
            if let Some(warehouse) = &warehouse {
                making.lost(
                    warehouse,
                    format!("{} is not a place in a bucket of the store", warehouse.text),
                    "write s3a://BUCKET/FOLDER, and add `global.s3`",
                );
            }
            match stores.first() {
                Some(first) => making.set(&at("store"), first),
                None => making.lacks(
                    root,
                    "a metastore needs an object store for its tables, and the values name none",
                    "add `global.s3` with `endpoint` and `bucket`",
                ),
            }
        }
    }
    if let Some(replicas) = making.first(root, &["replicas", "replicaCount"]) {
        making.count(&replicas, &at("replicas"));
    }
    making.resources(&format!("{root}.resources"), &to);
    for key in ["uri", "uris", "port", "service.port"] {
        if let Some(uri) = making.text(&format!("{root}.{key}")) {
            making.changed(
                &uri,
                format!("the address is that of the component `{METASTORE}`, at port 9083"),
                "",
            );
        }
    }
}
