//! What was done to instances and containers, in words.

use super::words::count;
use crate::activity::{
    Attachment, Connection, ContainerImage, ImageSearch, InstanceChange, Monitor, MonitoringChange, Place,
    PolicyChange, Process, Pull, Reported, Resolution, Start, TemplateChange, TemplateKind, UserDataChange,
    Workload, WorkloadKind,
};

pub fn template(change: &TemplateChange) -> String {
    let what = match change.kind {
        TemplateKind::LaunchTemplate => "wrote the launch template",
        TemplateKind::LaunchConfiguration => "wrote the launch configuration",
        TemplateKind::SpotInstances => "requested spot instances",
        TemplateKind::SpotFleet => "requested a spot fleet",
        TemplateKind::Fleet => "requested a fleet",
        TemplateKind::ScalingGroup => "wrote the Auto Scaling group",
        TemplateKind::ComputeEnvironment => "wrote the compute environment",
        TemplateKind::ImageRecipe => "wrote the image recipe",
    };
    format!("{}{what} {}, image {}", tried(&change.failed), change.template.label(), change.image.label())
}

pub fn attached(attachment: &Attachment) -> String {
    let Attachment { volume, instance, device, failed } = attachment;
    format!("{}attached {volume} to {instance} as {device}", tried(failed))
}

pub fn monitoring(change: &MonitoringChange) -> String {
    let what = match change.monitor {
        Monitor::Trail => "the trail",
        Monitor::Rule => "the rule",
        Monitor::GuardDuty => "the GuardDuty detector",
        Monitor::Inspector => "Inspector in",
        Monitor::Own => "Imagewarden's",
    };
    format!("{}changed what watches: {what} {} {}", tried(&change.failed), change.target, change.effect)
}

pub fn policy(change: &PolicyChange) -> String {
    let verb = if change.deleted { "deleted" } else { "changed" };
    format!("{}{verb} the policy at {}", tried(&change.failed), change.location)
}

pub fn user_data(change: &UserDataChange) -> String {
    format!("{}rewrote the user data of {}", tried(&change.failed), change.instance)
}

pub fn instances(verb: &str, change: &InstanceChange) -> String {
    let number = change.instances.len() as u64;
    let ids: Vec<&str> = change.instances.iter().take(5).map(String::as_str).collect();
    format!("{}{verb} {}: {}", tried(&change.failed), count(number, "instance", "instances"), ids.join(", "))
}

pub fn searched(search: &ImageSearch) -> String {
    let whose = if search.bounded { "within owners or ids" } else { "of any owner" };
    format!("searched images {whose} by name: {}", search.names.join(", "))
}

pub fn pulled(pull: &Pull) -> String {
    let from = pull.upstream.as_ref().map_or_else(String::new, |upstream| format!(" from {upstream}"));
    format!("pulled {}{from}", image(&pull.image))
}

pub fn declared(workload: &Workload) -> String {
    let kind = match workload.kind {
        WorkloadKind::TaskDefinition => "task definition",
        WorkloadKind::Task => "task",
        WorkloadKind::Service => "service",
        WorkloadKind::Cluster => "cluster",
        WorkloadKind::Pod => "pod",
        WorkloadKind::PodTemplate => "workload",
        WorkloadKind::Function => "function",
        WorkloadKind::Job => "job definition",
        WorkloadKind::Model => "model",
        WorkloadKind::Application => "application",
        WorkloadKind::Build => "build",
        WorkloadKind::Exec => "command inside",
    };
    let images: Vec<String> =
        workload.containers.iter().take(5).map(|container| image(&container.image)).collect();
    let images = if images.is_empty() { String::new() } else { format!(", images {}", images.join(", ")) };
    format!("{}declared the {kind} {}{images}", tried(&workload.failed), workload.name)
}

pub fn container(start: &Start) -> String {
    format!("a container started {}", running(&start.place))
}

pub fn process(process: &Process) -> String {
    format!("{} {} ran {}", process.binary, process.arguments, running(&process.place))
}

pub fn connected(connection: &Connection) -> String {
    let verb = if connection.rejected { "was refused a connection to" } else { "connected to" };
    let who = connection.process.as_deref().unwrap_or("something");
    let (to, port) = (connection.destination, connection.port);
    format!("{who} {verb} {to} port {port} {}", running(&connection.place))
}

pub fn resolved(resolution: &Resolution) -> String {
    format!("{} was looked up {}", resolution.name, running(&resolution.place))
}

pub fn reported(reported: &Reported) -> String {
    let sample = if reported.sample { " (a SAMPLE finding)" } else { "" };
    format!("GuardDuty reported {}{sample}: {}", reported.finding_type, reported.title)
}

fn tried(failed: &Option<String>) -> String {
    failed.as_ref().map_or_else(String::new, |error| format!("failed ({error}) when it "))
}

fn image(image: &ContainerImage) -> String {
    match &image.digest {
        Some(digest) => format!("{}@{}", image.name, digest.chars().take(19).collect::<String>()),
        None => image.name.clone(),
    }
}

/// Where it ran, and from which image.
fn running(place: &Place) -> String {
    let what = if place.is_container() { "container" } else { "host" };
    let from = place.image.as_ref().map_or_else(String::new, |name| format!(" from {}", image(name)));
    format!("in {what} {}{from}", place.label())
}
