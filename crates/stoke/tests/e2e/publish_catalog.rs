//! Tables that are published in a catalogue that speaks Iceberg's REST: Iceberg's own server, as its project publishes it to try clients with.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use stoke_testkit::maven;

use crate::common::{Context, Need, Server, free_port, full, program};
use crate::publish::{ICEBERG, World, spark};

/// The server with all that it needs (`org.apache.iceberg:iceberg-open-api:1.10.1`, 212 MB): the newest that Maven Central has, and its sum.
const SERVER: [&str; 2] = [
    "org/apache/iceberg/iceberg-open-api/1.10.1/iceberg-open-api-1.10.1.jar",
    "09e6aef58984eaa58bf1e1bc5193ad023e929c6bfd38c82db7b83ffe825af724",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs: [Need; 6] = [
        full(),
        program("git", "apt-get install git"),
        program("java", "apt-get install openjdk-17-jre-headless"),
        context.spark("4.1.4"),
        context.package(ICEBERG),
        Need::Built(|context| jar(context).map(drop)),
    ];
    vec![
        context.trial(
            "publish: Spark writes to a branch of a table in Iceberg's REST catalogue",
            &needs,
            in_catalogue,
        ),
        context.trial(
            "publish: changes in a REST catalogue that come late, get lost, meet others, or are refused",
            &needs,
            interrupted,
        ),
    ]
}

fn jar(context: &Context) -> Result<PathBuf, String> {
    let [path, sum] = SERVER;
    maven::bring(&context.home().join("iceberg-rest"), path, sum)
}

/// The server over a database and a warehouse of its own.
fn serve(context: &Context, world: &World, port: u16) -> Result<Server, Failed> {
    let warehouse = world.path("warehouse");
    std::fs::create_dir_all(&warehouse)?;
    let mut java = Command::new("java");
    java.arg("-Xmx512m")
        .arg("-jar")
        .arg(jar(context)?)
        .env("CATALOG_REST_PORT", port.to_string())
        .env("CATALOG_WAREHOUSE", &warehouse)
        .env(
            "CATALOG_URI",
            format!("jdbc:sqlite:{}", world.path("catalogue.db").display()),
        );
    Server::start(&mut java, port)
}

fn in_catalogue(context: &Context) -> Result<(), Failed> {
    let port = free_port()?;
    let address = format!("http://127.0.0.1:{port}");
    let data = format!(
        "  - {{name: orders, contract: contracts/report.yaml, iceberg: {{table: shop.orders, catalog: '{address}'}}}}\n"
    );
    let world = World::new(context, &data)?;
    let _server = serve(context, &world, port)?;
    let conf = ["type=rest".to_owned(), format!("uri={address}")];
    let conf = conf.map(|one| format!("spark.sql.catalog.lake.{one}"));
    spark(context, &world, "publish.py", &conf, &[])
}

fn interrupted(context: &Context) -> Result<(), Failed> {
    let (port, proxy) = (free_port()?, free_port()?);
    let data = format!(
        "  - {{name: items, contract: contracts/report.yaml, iceberg: {{table: shop.eu.items, catalog: 'http://127.0.0.1:{proxy}/', warehouse: shops}}}}\n"
    );
    let world = World::new(context, &data)?;
    let _server = serve(context, &world, port)?;
    let (server, proxy) = (format!("127.0.0.1:{port}"), proxy.to_string());
    let variables = [("CATALOG_SERVER", server.as_str()), ("CATALOG_PROXY", &proxy)];
    spark(context, &world, "publish_catalog.py", &[], &variables)
}
