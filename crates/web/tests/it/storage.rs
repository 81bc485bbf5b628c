//! What was cached: no log of a real run here tells of blocks, so one is written with Spark's own events.

use http::StatusCode;
use serde_json::json;

use crate::site::Site;

fn log() -> String {
    let level =
        json!({"Use Disk": true, "Use Memory": true, "Use Off Heap": false, "Deserialized": true, "Replication": 1});
    let rdd = json!({"RDD ID": 4, "Name": "prices <cached>", "Scope": "{}", "Callsite": "x", "Parent IDs": [], "Storage Level": level,
        "Barrier": false, "Number of Partitions": 3, "Number of Cached Partitions": 0, "Memory Size": 0, "Disk Size": 0});
    let stage = json!({"Stage ID": 0, "Stage Attempt ID": 0, "Stage Name": "count", "Number of Tasks": 3, "RDD Info": [rdd],
        "Parent IDs": [], "Details": "", "Accumulables": [], "Submission Time": 2000});
    let manager = json!({"Executor ID": "1", "Host": "h", "Port": 7});
    let block = |split: i32, memory: i64| {
        json!({"Event": "SparkListenerBlockUpdated", "Block Updated Info": {"Block Manager ID": manager, "Block ID": format!("rdd_4_{split}"),
            "Storage Level": level, "Memory Size": memory, "Disk Size": 5}})
    };
    let events = [
        json!({"Event": "SparkListenerLogStart", "Spark Version": "4.1.4"}),
        json!({"Event": "SparkListenerApplicationStart", "App Name": "cache", "App ID": "cache", "Timestamp": 1000, "User": "u"}),
        json!({"Event": "SparkListenerExecutorAdded", "Timestamp": 1100, "Executor ID": "1",
            "Executor Info": {"Host": "h", "Total Cores": 2, "Log Urls": {}}}),
        json!({"Event": "SparkListenerBlockManagerAdded", "Block Manager ID": manager, "Maximum Memory": 1_000_000, "Timestamp": 1100}),
        json!({"Event": "SparkListenerJobStart", "Job ID": 0, "Submission Time": 2000, "Stage Infos": [stage], "Stage IDs": [0], "Properties": {}}),
        json!({"Event": "SparkListenerStageSubmitted", "Stage Info": stage, "Properties": {}}),
        block(0, 100),
        block(1, 250),
    ];
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_blocks_are_those_of_the_status_api() {
    let logs = tempfile::tempdir().unwrap();
    std::fs::write(logs.path().join("cache.inprogress"), log()).unwrap();
    let site = Site::on(logs, stoke_web::Settings::default());
    let theirs = site.get("/api/v1/applications/cache/storage/rdd/4").await.json();
    let list = site.twin("/history/cache/storage/").await;
    let ours = &list["rdds"]["rows"][0];
    assert_eq!(ours["name"], "prices <cached>");
    for (name, field) in [
        ("id", "id"),
        ("cached", "numCachedPartitions"),
        ("partitions", "numPartitions"),
        ("memory", "memoryUsed"),
        ("disk", "diskUsed"),
        ("level", "storageLevel"),
    ] {
        assert_eq!(ours[name], theirs[field], "{name}");
    }
    let one = site.twin("/history/cache/storage/rdd/?id=4").await;
    assert_eq!(one["blocks"]["rows"].as_array().unwrap().len(), 2);
    assert_eq!(one["executors"]["rows"][0]["memory"], 350);
    let page = site.get("/history/cache/storage/rdd/?id=4").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("prices &lt;cached&gt;"));
    assert_eq!(
        site.get("/history/cache/storage/rdd/?id=5").await.status,
        StatusCode::NOT_FOUND
    );
    // It still runs: its page says so.
    assert_eq!(site.twin("/history/cache/").await["state"], "running");
}
