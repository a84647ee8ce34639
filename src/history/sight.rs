//! Names of sightings: what is new the first time, and known ever after.

use std::net::IpAddr;

use crate::activity::{Action, Activity, Place};

/// The watch over an account.
pub const WATCH: &str = "since";

/// The sighting of a machine image.
pub fn machine_image(image: &str) -> String {
    format!("machine-image/{image}")
}

/// The sighting of a pusher at a repository.
pub fn pusher(repository: &str, principal: &str) -> String {
    format!("pusher/{repository}/{principal}")
}

/// The sighting of a container image that was pulled or run.
pub fn container_image(digest: &str) -> String {
    format!("container-image/{digest}")
}

/// The sighting of a container image that was run. One that was only pulled is still new when it is first run:
/// otherwise whoever can read the repository makes an image known before its time.
pub fn container_run(digest: &str) -> String {
    format!("container-run/{digest}")
}

/// All sightings of a container image.
pub fn all(digest: &str) -> [String; 2] {
    [container_image(digest), container_run(digest)]
}

/// The sighting that tells whether an activity's image is new: a run is compared with runs, a pull with both.
pub fn compared(activity: &Activity, digest: &str) -> String {
    match activity.action {
        Action::ImagePulled(_) => container_image(digest),
        _ => container_run(digest),
    }
}

/// What an activity shows of its container image.
pub fn shown(activity: &Activity, digest: &str) -> Vec<String> {
    match activity.action {
        Action::ImagePulled(_) => vec![container_image(digest)],
        _ => all(digest).to_vec(),
    }
}

/// The digest of the container image that an activity pulls or runs.
pub fn digest(activity: &Activity) -> Option<&str> {
    let image = match &activity.action {
        Action::ImagePulled(pull) => Some(&pull.image),
        action => action.place()?.image.as_ref(),
    };
    image?.digest.as_deref().filter(|digest| !digest.is_empty())
}

/// Where a container reached out to, as far as it is worth telling apart: a registered domain, or a
/// network of the Internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `example.com`, `198.51.100.0/24`
    pub name: String,
    /// By namespace and workload, so that a new copy of a known service is nothing new.
    pub sighting: String,
}

/// Whose destinations are told apart: `web/shop`. A container of which neither the workload nor the task
/// is known is its own.
fn workload(place: &Place) -> String {
    let namespace = place.namespace.as_deref().or(place.cluster.as_deref()).unwrap_or_default();
    let image = place.image.as_ref().map(|image| image.name.as_str()).filter(|name| !name.is_empty());
    let workload = place.workload.as_deref().or(image).map_or_else(|| place.label(), str::to_owned);
    format!("{namespace}/{workload}")
}

/// The destination of a container's connection or look-up; `None` for everything that is none, and for
/// what stays inside.
pub fn destination(activity: &Activity) -> Option<Destination> {
    let (place, name) = match &activity.action {
        Action::Connected(connection) if !connection.rejected => {
            let domain = connection.domain.as_deref().and_then(registered);
            let public = crate::detection::is_public(connection.destination);
            (&connection.place, domain.or_else(|| public.then(|| network(connection.destination)))?)
        }
        Action::NameResolved(resolution) => (&resolution.place, registered(&resolution.name)?),
        _ => return None,
    };
    let sighting = format!("destination/{}/{name}", workload(place));
    place.is_container().then_some(Destination { name, sighting })
}

/// The domain that somebody registered; `None` for names that lead nowhere outside.
fn registered(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let domain = psl::domain(host.as_bytes())?;
    let inside = ["internal", "local", "localhost", "lan", "home", "corp", "arpa", "test", "invalid"];
    let known = domain.suffix().is_known();
    let end = host.rsplit('.').next().unwrap_or_default();
    let name = std::str::from_utf8(domain.as_bytes()).ok()?;
    (known && !inside.contains(&end)).then(|| name.to_owned())
}

/// The /24 of an address, or its /48.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_that_somebody_registered() {
        for (host, domain) in [
            ("a.b.example.com.", Some("example.com")),
            ("www.example.co.uk", Some("example.co.uk")),
            ("evil.github.io", Some("evil.github.io")),
            ("com", None),
            ("web.shop.svc.cluster.local", None),
            ("ip-10-0-0-1.eu-central-1.compute.internal", None),
            ("1.0.0.10.in-addr.arpa", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(registered(host).as_deref(), domain, "{host}");
        }
    }

    #[test]
    fn networks_are_as_wide_as_one_customer_mostly_has() {
        assert_eq!(network("198.51.100.7".parse().unwrap()), "198.51.100.0/24");
        assert_eq!(network("::ffff:198.51.100.7".parse().unwrap()), "198.51.100.0/24");
        assert_eq!(network("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48");
    }
}
