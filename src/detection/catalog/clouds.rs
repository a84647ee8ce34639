//! The catalog in Azure and Google Cloud, where the event itself says whose image it is.
//!
//! Age, deprecation, names and tags are not judged there: nothing is looked up in these clouds.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::Approval;
use crate::activity::{Activity, AzureImageKind, Cloud, ImageRef, Launch};
use crate::detection::{NextStep, Reason};
use crate::policy::{Listed, Policy, like};

/// Judges an image by its publisher, subscription or project.
pub fn approval(activity: &Activity, policy: &Policy, image: &ImageRef) -> Approval {
    let own = activity.account.as_str();
    match image {
        ImageRef::Azure { publisher, .. } => {
            if listed(&policy.images.approved.azure_publishers, publisher) {
                Approval::Approved(format!("its Marketplace publisher {publisher} is listed in the policy"))
            } else {
                refused(format!(
                    "its Marketplace publisher {publisher} is not among the policy's azure_publishers"
                ))
            }
        }
        ImageRef::AzureGallery { kind: AzureImageKind::CommunityGallery, .. } => {
            refused("it is from a community gallery, where anybody can offer images".to_owned())
        }
        ImageRef::AzureGallery { id, kind } => {
            let owner = match kind {
                AzureImageKind::SharedGallery => sharing_subscription(id),
                _ => subscription(id),
            };
            match owner {
                None => Approval::CannotTell(Reason::new(
                    "azure-image-subscription-unknown",
                    "The image's id names no subscription, so it cannot be told whose it is.",
                )),
                Some(_) if own.is_empty() => Approval::CannotTell(Reason::new(
                    "azure-subscription-unknown",
                    "The event names no subscription, so it cannot be told whether the image is an own one.",
                )),
                Some(owner) if owner.eq_ignore_ascii_case(own) => {
                    Approval::Approved("it is the subscription's own".to_owned())
                }
                Some(owner) => refused(format!("it belongs to another subscription, {owner}")),
            }
        }
        ImageRef::Gcp { project, .. } => {
            let projects = &policy.images.approved.gcp_projects;
            if listed(projects, project) {
                Approval::Approved(format!("its project {project} is listed in the policy"))
            } else if projects.iter().any(|word| *word == "google") && is_google(project) {
                Approval::Approved(format!("its project {project} is Google's own"))
            } else if project.is_empty() || own.is_empty() {
                Approval::CannotTell(Reason::new(
                    "gcp-project-unknown",
                    "The event names no project, so it cannot be told whether the image is an own one.",
                ))
            } else if project == own {
                Approval::Approved("it is the project's own".to_owned())
            } else if project.bytes().all(|byte| byte.is_ascii_digit()) {
                Approval::CannotTell(Reason::new(
                    "gcp-project-by-number",
                    "The image's project is named by its number, which tells nothing of its name. List the number in \
                     images.approved.gcp_projects if it is one of yours.",
                ))
            } else {
                refused(format!("its project {project} is not among the policy's gcp_projects"))
            }
        }
        _ => Approval::CannotTell(Reason::new(
            "image-not-named",
            "The event does not name the image. Look at the machine by hand.",
        )),
    }
}

fn refused(why: String) -> Approval {
    Approval::NotApproved { why, not_inspected: Vec::new() }
}

/// Projects from which Google publishes images.
static GOOGLE: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| crate::indicators::entries(include_str!("../data/google-projects.txt")).collect());
/// Publishers of operating systems in the Azure Marketplace, in lower case.
static PUBLISHERS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| crate::indicators::entries(include_str!("../data/azure-publishers.txt")).collect());

/// Whether a project is one of Google's own that publish images.
pub fn is_google(project: &str) -> bool {
    GOOGLE.contains(project)
}

/// Whether a Marketplace publisher is a known publisher of operating systems.
pub fn is_known_publisher(publisher: &str) -> bool {
    PUBLISHERS.contains(publisher.to_lowercase().as_str())
}

/// Publishers and projects are the same in any case.
fn listed(patterns: &[Listed], name: &str) -> bool {
    let name = name.to_lowercase();
    !name.is_empty() && patterns.iter().any(|pattern| like(&pattern.to_lowercase(), &name))
}

/// `/subscriptions/ID/...`
fn subscription(id: &str) -> Option<&str> {
    let mut parts = id.split('/');
    let leading = parts.next()?.is_empty() && parts.next()?.eq_ignore_ascii_case("subscriptions");
    parts.next().filter(|id| leading && !id.is_empty())
}

/// `/SharedGalleries/SUBSCRIPTION-GALLERY/...`: the name of a shared gallery begins with the id of the
/// subscription that shares it.
fn sharing_subscription(id: &str) -> Option<&str> {
    const UUID: usize = 36;
    let mut parts = id.split('/');
    let leading = parts.next()?.is_empty() && parts.next()?.eq_ignore_ascii_case("sharedgalleries");
    let (subscription, rest) = parts.next()?.split_at_checked(UUID)?;
    let sound = subscription.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (leading && sound && rest.starts_with('-')).then_some(subscription)
}

/// What to do about it, in that cloud's own words.
pub fn next_steps(activity: &Activity, launch: &Launch) -> Vec<NextStep> {
    let machine = launch.instances.first().map(|instance| instance.id.as_str()).and_then(plain);
    let stop = match (activity.cloud, machine) {
        (Cloud::Gcp, Some(name)) => {
            plain(&activity.account).zip(plain(&activity.region)).map(|(project, zone)| {
                format!("gcloud compute instances stop {name} --project {project} --zone {zone}")
            })
        }
        (Cloud::Azure, Some(name)) => plain(&activity.account).map(|subscription| {
            format!(
                "az vm list --subscription {subscription} --query \"[?name=='{name}'].id\" --output tsv | xargs az vm \
                 deallocate --ids"
            )
        }),
        _ => None,
    };
    let (key, value) = match &launch.image {
        ImageRef::Azure { publisher, .. } => ("azure_publishers", plain(publisher)),
        ImageRef::Gcp { project, .. } => ("gcp_projects", plain(project)),
        _ => ("", None),
    };
    let approve = match value {
        Some(value) => NextStep::policy(
            "If it is one of yours, approve its owner in the policy.",
            Some(format!("images: {{approved: {{{key}: [{value}]}}}}")),
        ),
        None => NextStep::new(
            "If it is one of yours, copy the image into a gallery of your own subscription or project and start \
             machines from there.",
            None,
        ),
    };
    vec![
        NextStep::new("Ask whoever started it, and see what else the same identity did.", None),
        NextStep::new(
            "If nobody can explain it, stop the machine; do not delete it, its disks are the evidence.",
            stop,
        ),
        approve,
    ]
}

/// Names as these clouds allow them, which no shell minds.
fn plain(name: &str) -> Option<&str> {
    let fits = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 80
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Activity, Cloud, Instance, LaunchOutcome};
    use crate::detection::machine_image_not_approved::DETECTION;
    use crate::detection::testing::*;
    use crate::detection::{Match, Verdict};

    const OWN: &str = "3f2a91c4-7b0d-4e58-9a61-0c5d7e8f1b23";
    const OTHER: &str = "9d4e7c10-2b6f-48a3-b5c1-f07e8d9a6b34";

    fn machine(cloud: Cloud, account: &str, image: ImageRef) -> Activity {
        let instances = vec![Instance { id: "web-1".to_owned(), ..Instance::default() }];
        let mut activity = launched(Launch { image, instances, count: 1, ..Launch::default() });
        activity.cloud = cloud;
        activity.account = account.to_owned();
        activity.region = "europe-west3-b".to_owned();
        activity
    }

    fn judged(activity: &Activity, yaml: &str) -> Verdict {
        Given::none().judge(&DETECTION, activity, &policy(yaml))
    }

    fn azure(publisher: &str) -> Activity {
        let text = |text: &str| text.to_owned();
        let (offer, sku, version) = (text("ubuntu"), text("server"), text("latest"));
        machine(Cloud::Azure, OWN, ImageRef::Azure { publisher: text(publisher), offer, sku, version })
    }

    fn gallery(kind: AzureImageKind, id: String) -> Activity {
        machine(Cloud::Azure, OWN, ImageRef::AzureGallery { id, kind })
    }

    fn gcp(project: &str) -> Activity {
        let (project, image) = (project.to_owned(), "images/x".to_owned());
        machine(Cloud::Gcp, "shop-prod", ImageRef::Gcp { project, image })
    }

    fn fired(activity: &Activity, yaml: &str) -> Box<Match> {
        matched(judged(activity, yaml)).into()
    }

    #[test]
    fn a_listed_publisher_passes_in_any_case_and_no_other() {
        let listed = "images: {approved: {azure_publishers: [Canonical, RedHat]}}";
        passed(judged(&azure("canonical"), listed));
        passed(judged(&azure("REDHAT"), listed));
        let found = fired(&azure("canonica1"), listed);
        assert!(found.summary.contains("canonica1"), "{}", found.summary);
        fired(&azure("Canonical"), "{}");
    }

    #[test]
    fn own_images_pass_and_another_subscriptions_do_not() {
        let resource = |subscription: &str| {
            let id = format!(
                "/subscriptions/{subscription}/resourceGroups/g/providers/Microsoft.Compute/images/i"
            );
            gallery(AzureImageKind::Resource, id)
        };
        passed(judged(&resource(OWN), "{}"));
        passed(judged(&resource(&OWN.to_uppercase()), "{}"));
        assert!(fired(&resource(OTHER), "{}").summary.contains(OTHER));
        let odd = gallery(AzureImageKind::Resource, "images/i".to_owned());
        assert_eq!(cannot_tell(judged(&odd, "{}")).code, "azure-image-subscription-unknown");
    }

    /// Whatever is listed: a name in a community gallery is anybody's choice.
    #[test]
    fn community_and_foreign_shared_galleries_never_pass() {
        let all = "images: {approved: {azure_publishers: ['*'], gcp_projects: ['*']}}";
        for id in [format!("/CommunityGalleries/Canonical-{OWN}/Images/i"), format!("/subscriptions/{OWN}/x")]
        {
            fired(&gallery(AzureImageKind::CommunityGallery, id), all);
        }
        let shared = |owner: &str| {
            gallery(AzureImageKind::SharedGallery, format!("/sharedGalleries/{owner}-FARM/images/i"))
        };
        fired(&shared(OTHER), all);
        passed(judged(&shared(OWN), all));
        let odd = gallery(AzureImageKind::SharedGallery, "/SharedGalleries/é/Images/i".to_owned());
        cannot_tell(judged(&odd, all));
    }

    #[test]
    fn own_and_listed_projects_pass_and_no_other() {
        let listed = "images: {approved: {gcp_projects: [debian-cloud]}}";
        passed(judged(&gcp("debian-cloud"), listed));
        passed(judged(&gcp("shop-prod"), listed));
        fired(&gcp("debian-cloud-2"), listed);
        fired(&gcp("debian-cloud"), "images: {approved: {gcp_projects: []}}");
        passed(judged(&gcp("gke-node-images"), "{}"));
        fired(&gcp("gke-node-images-2"), "{}");
        assert_eq!(cannot_tell(judged(&gcp("417305982611"), listed)).code, "gcp-project-by-number");
        assert_eq!(cannot_tell(judged(&gcp(""), listed)).code, "gcp-project-unknown");
    }

    #[test]
    fn an_image_that_is_not_named_cannot_be_told() {
        for cloud in [Cloud::Azure, Cloud::Gcp] {
            let activity = machine(cloud, OWN, ImageRef::Unknown);
            assert_eq!(cannot_tell(judged(&activity, "{}")).code, "image-not-named");
        }
    }

    /// AWS knows nothing of these machines, and their accounts are no accounts there.
    #[test]
    fn no_detection_asks_aws_about_another_cloud() {
        let policy = policy("{}");
        for activity in [azure("x"), gcp("y"), machine(Cloud::Azure, OWN, ImageRef::Unknown)] {
            for detection in crate::detection::REGISTRY {
                let verdict = Given::none().judge(detection, &activity, &policy);
                assert!(!matches!(verdict, Verdict::Need(_)), "{}", detection.id);
            }
        }
    }

    #[test]
    fn attempts_are_not_judged() {
        let mut activity = gcp("stranger");
        if let crate::activity::Action::ImageLaunched(launch) = &mut activity.action {
            launch.outcome = LaunchOutcome::Attempted("PERMISSION_DENIED".to_owned());
        }
        assert!(matches!(judged(&activity, "{}"), Verdict::NotApplicable(_)));
    }

    #[test]
    fn only_plain_names_enter_a_command() {
        let command = |activity: &Activity| {
            fired(activity, "{}").next_steps.iter().find_map(|step| step.command.clone())
        };
        assert_eq!(
            command(&gcp("stranger")).as_deref(),
            Some("gcloud compute instances stop web-1 --project shop-prod --zone europe-west3-b")
        );
        assert!(command(&azure("x")).unwrap().contains(&format!("--subscription {OWN}")));
        let mut evil = gcp("stranger");
        evil.region = "a; reboot".to_owned();
        assert_eq!(command(&evil), None);
        let found = fired(&gcp("x]}} `id`"), "{}");
        assert!(!found.next_steps.iter().any(|step| step.text.contains("`id`")));
    }
}
