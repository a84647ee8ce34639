//! The launch branch of the mining rule, in all three clouds. The published rule fires on every launch.

use super::Case;
use super::build::*;

const NOT_APPROVED: &[&str] = &["machine-image-not-approved"];

pub fn seed_c4_launch_in_aws() -> Vec<Case> {
    vec![
        Case::fires("a stranger's image", vec![sample("run-instances-community-ami")], NOT_APPROVED),
        Case::fires(
            "the same from Security Lake",
            vec![sample("ocsf-run-instances-community-ami")],
            NOT_APPROVED,
        ),
        Case::quiet("an own image", vec![sample("run-instances-own-image")]),
        Case::quiet("Amazon's image", vec![sample("run-instances-amazon-linux")]),
        Case::fires("a distributor's, unlisted", vec![sample("run-instances-ubuntu")], NOT_APPROVED),
        Case::quiet(
            "internal automation on an image that the policy lists",
            vec![sample("run-instances-ubuntu")],
        )
        .policy("images: {approved: {ids: [ami-06dad4d09681c75d6]}}"),
    ]
}

pub fn seed_c4_launch_in_azure() -> Vec<Case> {
    const LISTED: &str = "images: {approved: {azure_publishers: [canonical]}}";
    vec![
        Case::fires("a community gallery", vec![sample("azure-vm-community-gallery")], NOT_APPROVED)
            .severity("high"),
        Case::fires("whoever is listed", vec![sample("azure-vm-community-gallery")], NOT_APPROVED)
            .policy(LISTED),
        Case::fires(
            "another subscription's gallery",
            vec![sample("azure-vm-shared-gallery-event-bus")],
            NOT_APPROVED,
        ),
        Case::fires("a publisher that is not listed", vec![sample("azure-vm-canonical")], NOT_APPROVED),
        Case::quiet("a listed publisher", vec![sample("azure-vm-canonical")]).policy(LISTED),
        Case::quiet("the subscription's own gallery", vec![sample("azure-vm-own-image")]),
    ]
}

pub fn seed_c4_launch_in_google_cloud() -> Vec<Case> {
    vec![
        Case::fires("an unknown project's image", vec![sample("gcp-instance-foreign-project")], NOT_APPROVED)
            .severity("high"),
        Case::fires("many at once", vec![sample("gcp-bulk-insert-event-bus")], NOT_APPROVED),
        Case::fires("a project that is not listed", vec![sample("gcp-instance-debian-family")], NOT_APPROVED)
            .policy("images: {approved: {gcp_projects: []}}"),
        Case::quiet("Google's own image project", vec![sample("gcp-instance-debian-family")]),
        Case::quiet("a listed project", vec![sample("gcp-instance-debian-family")])
            .policy("images: {approved: {gcp_projects: [debian-cloud]}}"),
        Case::quiet("the project's own image", vec![sample("gcp-instance-own-image")]),
    ]
}
