//! Buckets named by the host (`http://<bucket>.<name>/key`) beside those named by the path.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// Name of the Service that pods find the store by.
pub const SERVICE: &str = "object-store";

/// Knows the names this store goes by: `localhost`, and the Service's in any namespace.
pub struct Names;

/// Splits a host, without its port, into a bucket and the store's own name. An unknown name is the store's, without a bucket.
fn split(host: &str) -> (Option<&str>, &str) {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    let labels: Vec<&str> = name.split('.').collect();
    for (place, _) in labels.iter().enumerate() {
        let own = matches!(
            labels[place..],
            ["localhost"] | [SERVICE] | [SERVICE, _] | [SERVICE, _, "svc"] | [SERVICE, _, "svc", "cluster", "local"]
        );
        if own {
            let bucket: usize = labels[..place].iter().map(|label| label.len() + 1).sum();
            return ((place > 0).then(|| &name[..bucket - 1]), &name[bucket..]);
        }
    }
    (None, name)
}

impl S3Host for Names {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let (bucket, name) = split(host);
        let found = VirtualHost::new(name);
        Ok(match bucket {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_split_at_the_stores_own_names() {
        let table = [
            ("localhost:9000", None, "localhost"),
            ("b.localhost", Some("b"), "localhost"),
            ("my.dotted.localhost:9000", Some("my.dotted"), "localhost"),
            ("object-store.default.svc", None, "object-store.default.svc"),
            (
                "spark.object-store.team.svc:9000",
                Some("spark"),
                "object-store.team.svc",
            ),
            (
                "b.object-store.default.svc.cluster.local",
                Some("b"),
                "object-store.default.svc.cluster.local",
            ),
            ("elsewhere.example", None, "elsewhere.example"),
            ("", None, ""),
        ];
        for (host, bucket, name) in table {
            assert_eq!(split(host), (bucket, name), "{host}");
        }
    }
}
