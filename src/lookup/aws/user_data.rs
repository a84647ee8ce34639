//! User data, which CloudTrail never shows.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::InstanceAttributeName;

use super::{Asked, ec2};
use crate::activity::TemplateRef;
use crate::lookup::FactValue;

/// A new instance is not everywhere yet: how long to wait before asking again.
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// `DescribeInstanceAttribute`. An instance that stays unknown is gone.
pub(super) async fn instance(client: &Client, instance: &str) -> Asked {
    let mut waits = WAITS.into_iter();
    loop {
        let request = client.describe_instance_attribute().instance_id(instance);
        let answer = request.attribute(InstanceAttributeName::UserData).send().await;
        let asked = ec2::one(answer, &["InvalidInstanceID."], |answer| {
            let text = answer.user_data.and_then(|attribute| attribute.value).unwrap_or_default();
            Some(FactValue::UserData(text.into_bytes()))
        });
        match (asked, waits.next()) {
            (Asked::Absent, Some(wait)) => tokio::time::sleep(wait).await,
            (asked, _) => return asked,
        }
    }
}

/// `DescribeLaunchTemplateVersions`.
pub(super) async fn template(client: &Client, template: &TemplateRef) -> Asked {
    match ec2::template(client, template).await {
        Asked::Known(FactValue::Template(version)) => {
            Asked::Known(FactValue::UserData(version.user_data.unwrap_or_default().into_bytes()))
        }
        other => other,
    }
}

/// `DescribeLaunchConfigurations`.
pub(super) async fn configuration(client: &aws_sdk_autoscaling::Client, name: &str) -> Asked {
    let answer = client.describe_launch_configurations().launch_configuration_names(name).send().await;
    ec2::one(answer, &[], |answer| {
        let mut found = answer.launch_configurations?.into_iter();
        let found = found.find(|one| one.launch_configuration_name.as_deref() == Some(name))?;
        Some(FactValue::UserData(found.user_data.unwrap_or_default().into_bytes()))
    })
}
