//! Hosts that launch scripts name.

use std::collections::BTreeMap;

use super::draft::Entry;
use super::images::Launched;
use super::seen::Seen;
use crate::lookup::{Fact, FactKey, FactValue, Facts};
use crate::user_data::signal::hosts::{HostKind, Url, is_drop_host, is_trusted};
use crate::user_data::{Conclusion, Content, Trust, decode, inspect};

/// When scripts named a host, and whether anybody can put files there, or it is a bare address.
pub type Hosts = BTreeMap<String, (Seen, bool)>;

/// Hosts that a launch's scripts name and nobody trusts yet. Of a suspicious script none.
pub fn gather(facts: &Facts, trust: &Trust, launched: &Launched, hosts: &mut Hosts) {
    for (key, fact) in facts.iter() {
        let (FactKey::UserData { .. }, Fact::Known(FactValue::UserData(bytes))) = (key, fact) else {
            continue;
        };
        let inspection = inspect(bytes, trust, false);
        if bytes.is_empty()
            || matches!(inspection.conclusion, Conclusion::Suspicious | Conclusion::Undecodable)
        {
            continue;
        }
        let mut here = BTreeMap::new();
        for piece in decode::decode(bytes).pieces {
            let text = match &piece.content {
                Content::Script { text, .. } | Content::File { text, .. } => text,
                Content::Setting { value, .. } => value,
                Content::Include { url } => url,
                Content::Undecodable { .. } | Content::Odd { .. } => continue,
            };
            for url in Url::all(text) {
                let named = matches!(url.kind(), HostKind::Name | HostKind::PublicAddress);
                if named && !is_trusted(&url, trust) && here.len() < 32 {
                    let host = url.host.trim_end_matches('.').to_ascii_lowercase();
                    let odd = url.kind() == HostKind::PublicAddress
                        || is_drop_host(&host)
                        || crate::indicators::is_mining_pool(&host)
                        || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
                    here.insert(host, odd);
                }
            }
        }
        for (host, odd) in here {
            let (seen, known) = hosts.entry(host).or_insert_with(|| (launched.seen.blank(), odd));
            seen.join(&launched.seen);
            *known |= odd;
        }
    }
}

/// A line of the policy for each.
pub fn propose(hosts: Hosts) -> impl Iterator<Item = Entry<String>> {
    hosts.into_iter().map(|(host, (seen, odd))| {
        let evidence = seen.told("launch script", "launch scripts");
        match (odd, seen.is_habit()) {
            (true, _) => {
                Entry::refused(host, evidence, "anybody can put files there, or it is a bare address")
            }
            (false, true) => {
                Entry::approved(host, evidence).review("launch scripts fetch from it: is it yours?")
            }
            (false, false) => Entry::refused(host, evidence, "seldom used"),
        }
    })
}
