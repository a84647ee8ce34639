//! What runs, as EC2 has it.

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance as SdkInstance};
use chrono::{DateTime, Utc};

use crate::activity::Instance;
use crate::aws::Failure;

/// An instance that runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    pub(super) reservation: Option<String>,
    pub(super) client_token: Option<String>,
    pub(super) image: Option<String>,
    /// When it was made: stopping and starting it again changes its launch time, but not when its first
    /// network interface was attached.
    pub(super) born: Option<DateTime<Utc>>,
    pub(super) instance: Instance,
}

/// Where instances run.
pub(super) trait Fleet: Sync {
    /// A page of those that were started in one of these hours (`2026-05-13T12`), and the next one's token.
    fn page(
        &self,
        hours: &[String],
        token: Option<&str>,
    ) -> impl Future<Output = Result<(Vec<Running>, Option<String>), Failure>> + Send;
}

pub(super) struct Ec2(Client);

impl Ec2 {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self(Client::new(sdk))
    }
}

impl Fleet for Ec2 {
    async fn page(
        &self,
        hours: &[String],
        token: Option<&str>,
    ) -> Result<(Vec<Running>, Option<String>), Failure> {
        let started = hours.iter().map(|hour| format!("{hour}*")).collect();
        let states = ["pending", "running"].map(str::to_owned).to_vec();
        let answer = self
            .0
            .describe_instances()
            .filters(Filter::builder().name("launch-time").set_values(Some(started)).build())
            .filters(Filter::builder().name("instance-state-name").set_values(Some(states)).build())
            .max_results(1000)
            .set_next_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        let mut running = Vec::new();
        for reservation in answer.reservations.unwrap_or_default() {
            for instance in reservation.instances.unwrap_or_default() {
                running.push(of(reservation.reservation_id.clone(), instance));
            }
        }
        Ok((running, answer.next_token.filter(|token| !token.is_empty())))
    }
}

fn of(reservation: Option<String>, instance: SdkInstance) -> Running {
    let interfaces = instance.network_interfaces.unwrap_or_default();
    let first = interfaces.iter().filter_map(|interface| interface.attachment.as_ref());
    let first = first.filter(|attachment| attachment.device_index == Some(0));
    let attached = first.filter_map(|attachment| attachment.attach_time).next();
    let born = attached.or(instance.launch_time);
    let tags = instance.tags.unwrap_or_default().into_iter();
    Running {
        reservation,
        client_token: instance.client_token,
        image: instance.image_id,
        born: born.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos())),
        instance: Instance {
            id: instance.instance_id.unwrap_or_default(),
            instance_type: instance.instance_type.map(|kind| kind.as_str().to_owned()),
            private_ip: instance.private_ip_address,
            subnet: instance.subnet_id,
            vpc: instance.vpc_id,
            network_interfaces: interfaces
                .into_iter()
                .filter_map(|interface| interface.network_interface_id)
                .collect(),
            instance_profile: instance.iam_instance_profile.and_then(|profile| profile.arn),
            tags: tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect(),
        },
    }
}
