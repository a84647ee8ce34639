//! What Imagewarden answers to, as cases: the published rules, MITRE's analytics with their knobs, the
//! mining rule's branches, the validation tests, and what threat reports add.
//!
//! A seed is a list of cases that share a name. Two runners play them, `seed_cli.rs` through the command
//! line and `seed_function.rs` through the function, and each has one test a seed, named after it.

pub mod analytics;
pub mod build;
pub mod clouds;
pub mod mining;
pub mod reports;
pub mod rules;

use serde_json::Value;

/// One thing that is tried.
pub struct Case {
    /// What it shows, for whoever reads a failure.
    pub says: &'static str,
    /// Payloads in the order in which they arrive.
    pub events: Vec<Value>,
    /// The policy's YAML; empty for the shipped one.
    pub policy: &'static str,
    /// Every detection that is told, under the notification floor or not, and no other.
    pub expected: &'static [&'static str],
    /// How severe the most severe alert is, where the case says so.
    pub severity: Option<&'static str>,
    /// It is one message, however many events show it; that too takes a history.
    pub once: bool,
    /// It takes a history: several events make it, or what was seen before.
    pub history: bool,
}

impl Case {
    pub fn fires(says: &'static str, events: Vec<Value>, expected: &'static [&'static str]) -> Self {
        assert!(!expected.is_empty(), "{says}: it fires nothing");
        Self { says, events, policy: "", expected, severity: None, once: false, history: false }
    }

    pub fn quiet(says: &'static str, events: Vec<Value>) -> Self {
        Self { says, events, policy: "", expected: &[], severity: None, once: false, history: false }
    }

    pub fn policy(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    pub fn severity(self, severity: &'static str) -> Self {
        Self { severity: Some(severity), ..self }
    }

    pub fn once(self) -> Self {
        Self { once: true, history: true, ..self }
    }

    pub fn history(self) -> Self {
        Self { history: true, ..self }
    }

    /// The policy as it is judged by: everything that is told is published.
    pub fn judged_by(&self) -> String {
        format!("notify: {{minimum_severity: informational}}\n{}", self.policy)
    }

    /// Compares what was told with what was expected; `told` are OCSF findings.
    #[track_caller]
    pub fn check(&self, told: &[Value]) {
        let mut found: Vec<&str> = told.iter().flat_map(detections).collect();
        found.sort_unstable();
        found.dedup();
        let mut expected = self.expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}: {}", self.says, brief(told));
        assert!(!self.once || told.len() == 1, "{}: told more than once: {}", self.says, brief(told));
        if let Some(severity) = self.severity {
            let most = told.iter().max_by_key(|finding| finding["severity_id"].as_u64());
            let most = most.and_then(|finding| finding["severity"].as_str()).unwrap_or_default();
            assert_eq!(most.to_lowercase(), severity, "{}: {}", self.says, brief(told));
        }
    }
}

/// Every detection of an alert.
pub fn detections(finding: &Value) -> Vec<&str> {
    let info = &finding["finding_info"];
    let related = info["related_analytics"].as_array().into_iter().flatten();
    std::iter::once(&info["analytic"])
        .chain(related)
        .filter_map(|analytic| analytic["uid"].as_str())
        .collect()
}

fn brief(told: &[Value]) -> String {
    let lines = told.iter().map(|finding| {
        format!("\n  {} {:?} {}", finding["severity"], detections(finding), finding["message"])
    });
    lines.collect()
}

/// Hands the name of every seed, with the module it is in, to a runner's macro.
macro_rules! every_seed {
    ($play:ident) => {
        $play! {
            rules: seed_a1_push_outside_business_hours
            rules: seed_a2_push_by_unknown_user
            rules: seed_a3_security_lake_push_outside_business_hours
            rules: seed_a4_security_lake_push_by_unknown_user
            rules: seed_a5_scan_findings_high
            rules: seed_a6_scan_findings_medium
            rules: seed_a7_scan_findings_low_informational_unknown
            rules: seed_a8_image_not_on_the_list
            rules: seed_a9_pods_running_offensive_tools
            rules: seed_a10_risk_by_repository
            analytics: seed_an0691_container_first_activity
            analytics: seed_an0691_image_registry_allow_list
            analytics: seed_an0691_time_window
            analytics: seed_an0691_suspicious_binaries
            analytics: seed_an0691_namespace_scope
            analytics: seed_an0691_outbound_cidr_block_list
            analytics: seed_an0691_new_digest_and_new_egress
            analytics: seed_an0692_first_boot_activity
            analytics: seed_an0692_approved_image_catalog
            analytics: seed_an0692_newly_seen_image
            analytics: seed_an0692_user_data_inspection
            analytics: seed_an0692_first_boot_window
            analytics: seed_an0692_vm_tag_scope
            mining: seed_c1_miner_process
            mining: seed_c2_mining_pool_connection
            mining: seed_c3_mining_pool_dns
            clouds: seed_c4_launch_in_aws
            clouds: seed_c4_launch_in_azure
            clouds: seed_c4_launch_in_google_cloud
            mining: seed_t1_container_running_a_miner
            mining: seed_t2_connection_to_a_mining_pool
            mining: seed_t3_malicious_image_then_wget
            mining: seed_t4_launch_from_a_community_ami
            mining: seed_t5_credentials_in_a_command
            reports: seed_e_lookalike_images
            reports: seed_e_name_confusion
            reports: seed_e_mass_mining_in_ecs
            reports: seed_e_laundered_images
            reports: seed_e_guard_rails_going_down
            reports: seed_e_failed_launches
            reports: seed_e_malware_verdicts
        }
    };
}
pub(crate) use every_seed;
