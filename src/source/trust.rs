//! Who may speak: which log group carries which format, and whose output in a container log is believed.

use std::collections::BTreeMap;

/// What the surroundings say about the origin of records. The default is the command line's: no log group is
/// declared, and a time to come is taken as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Events are judged as they arrive, so that none can be from the future.
    pub live: bool,
    /// The formats of the log groups that are subscribed to. With none declared, each may carry any.
    pub logs: LogFormats,
    /// Whose lines in a log of containers' output are believed.
    pub exporter: Exporter,
    /// The account whose log file this is, as its place in a trail's bucket says.
    pub owner: Option<String>,
}

/// A format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    EksAudit,
    Tetragon,
    FlowLog,
    Resolver,
    Auditd,
    Sysmon,
    /// Docker's and containerd's events.
    Docker,
    /// Records of this account's trail, and EventBridge events that a rule writes to a log group.
    CloudTrail,
    /// The same of any account of the organisation.
    OrganizationTrail,
}

impl LogFormat {
    const NAMES: [(&'static str, Self); 9] = [
        ("eks-audit", Self::EksAudit),
        ("tetragon", Self::Tetragon),
        ("flow-log", Self::FlowLog),
        ("resolver", Self::Resolver),
        ("auditd", Self::Auditd),
        ("sysmon", Self::Sysmon),
        ("docker", Self::Docker),
        ("cloudtrail", Self::CloudTrail),
        ("cloudtrail-organization", Self::OrganizationTrail),
    ];

    /// Its name in `LOG_FORMATS`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, format)| *format == self).map_or("unknown", |(name, _)| name)
    }
}

/// The formats that each log group carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFormats(BTreeMap<String, Vec<LogFormat>>);

impl LogFormats {
    /// Reads `GROUP=FORMAT,GROUP=FORMAT`. A group may come more than once; one without a name is left out, so
    /// that a template can leave it empty.
    ///
    /// # Errors
    /// The entry that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut groups: BTreeMap<String, Vec<LogFormat>> = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (group, name) = entry.rsplit_once('=').ok_or_else(|| entry.to_owned())?;
            let known = LogFormat::NAMES.iter().find(|(known, _)| *known == name.trim());
            let (_, format) = known.ok_or_else(|| entry.to_owned())?;
            if !group.trim().is_empty() {
                groups.entry(group.trim().to_owned()).or_default().push(*format);
            }
        }
        Ok(Self(groups))
    }

    /// What a group may carry: `None` where nothing at all is declared, an empty list for a group that is not.
    pub(super) fn of(&self, group: Option<&str>) -> Option<&[LogFormat]> {
        if self.0.is_empty() {
            return None;
        }
        Some(group.and_then(|group| self.0.get(group)).map_or(&[], Vec::as_slice))
    }
}

/// The container whose standard output is Tetragon's. What any other container prints is only its own output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporter {
    namespace: String,
    /// The name of the pods; `*` stands for anything at its end.
    pod: String,
    container: String,
}

impl Default for Exporter {
    fn default() -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            pod: "tetragon*".to_owned(),
            container: "export-stdout".to_owned(),
        }
    }
}

impl Exporter {
    /// Reads `NAMESPACE/POD/CONTAINER`; a star at a name's end stands for any ending.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        match parts.as_slice() {
            [namespace, pod, container] if parts.iter().all(|part| !part.is_empty()) => Some(Self {
                namespace: (*namespace).to_owned(),
                pod: (*pod).to_owned(),
                container: (*container).to_owned(),
            }),
            _ => None,
        }
    }

    /// Whether a line comes from the exporter. A name that the shipper does not tell decides nothing, but at
    /// least one has to be told.
    pub(super) fn is(&self, namespace: Option<&str>, pod: Option<&str>, container: Option<&str>) -> bool {
        let names = [(&self.namespace, namespace), (&self.pod, pod), (&self.container, container)];
        names.iter().any(|(_, name)| name.is_some())
            && names.iter().all(|(pattern, name)| name.is_none_or(|name| matches(pattern, name)))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_formats_are_read_group_by_group_and_a_wrong_entry_is_named() {
        let formats =
            LogFormats::parse("/aws/eks/a/cluster=eks-audit, =tetragon,/x=auditd,/x=sysmon").unwrap();
        assert_eq!(formats.of(Some("/aws/eks/a/cluster")), Some(&[LogFormat::EksAudit][..]));
        assert_eq!(formats.of(Some("/x")), Some(&[LogFormat::Auditd, LogFormat::Sysmon][..]));
        assert_eq!(formats.of(Some("/other")), Some(&[][..]));
        assert_eq!(LogFormats::parse("=tetragon,").unwrap().of(Some("/other")), None, "nothing declared");
        assert_eq!(LogFormats::parse("/x=everything"), Err("/x=everything".to_owned()));
    }

    #[test]
    fn only_the_exporters_container_is_the_exporter() {
        let exporter = Exporter::default();
        assert!(exporter.is(Some("kube-system"), Some("tetragon-x7k2p"), Some("export-stdout")));
        assert!(!exporter.is(Some("shop"), Some("tetragon-x7k2p"), Some("export-stdout")));
        assert!(!exporter.is(Some("kube-system"), Some("tetragon-x7k2p"), Some("tetragon")));
        assert!(!exporter.is(None, None, None));
        let other = Exporter::parse("security/tracer-*/stdout").unwrap();
        assert!(other.is(Some("security"), Some("tracer-1"), Some("stdout")));
        assert_eq!(Exporter::parse("security/tracer"), None);
    }
}
