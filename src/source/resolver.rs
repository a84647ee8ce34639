//! Route 53 Resolver query logs: names that something in a VPC looked up.

use std::net::IpAddr;

use serde_json::Value;

use super::envelope::{Envelope, Own};
use super::fields::{account, at, get, objects, str, text};
use super::lines::{filled, line_id, own_time};
use crate::activity::{Action, Activity, Place, Resolution};

pub(super) fn is_query(value: &Value) -> bool {
    get(value, "query_name").is_some()
        && (get(value, "query_type").is_some() || get(value, "vpc_id").is_some())
}

/// # Errors
/// When the query names nothing.
pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Result<Vec<Activity>, String> {
    let name = str(value, "query_name").ok_or("a query log line whose query_name is no text")?;
    let address = str(value, "srcaddr").and_then(|text| text.parse::<IpAddr>().ok());
    let ids = get(value, "srcids");
    let id_of = |key| ids.and_then(|ids| filled(ids, key));
    let resolution = Resolution {
        place: Place {
            instance: id_of("instance"),
            network_interface: id_of("resolver_network_interface"),
            vpc: filled(value, "vpc_id"),
            address,
            ..Place::default()
        },
        name: name.trim_end_matches('.').to_ascii_lowercase(),
        answers: objects(value, "answers")
            .into_iter()
            .filter_map(|answer| str(answer, "Rdata")?.parse::<IpAddr>().ok())
            .collect(),
        process: None,
    };
    let port = text(value, "srcport").unwrap_or_default();
    let query_type = text(value, "query_type").unwrap_or_default();
    let time = str(value, "query_timestamp").unwrap_or_default();
    let source = str(value, "srcaddr").unwrap_or_default();
    let vpc = str(value, "vpc_id").unwrap_or_default();
    let transport = at(value, &["transport"]).and_then(Value::as_str).unwrap_or_default();
    let own = Own {
        id: Some(line_id("dns", &[vpc, source, &port, transport, time, name, &query_type])),
        time: own_time(value, &["query_timestamp"], envelope),
        account: account(value, "account_id"),
        region: filled(value, "region"),
    };
    Ok(vec![envelope.activity(value, own, None, None, Action::NameResolved(resolution))])
}
