//! User data, as EC2 keeps it: base64, which whoever reads it takes apart.

use aws_sdk_ec2::types::InstanceAttributeName;

use super::Asked;
use super::clients::Clients;
use super::ec2::{one, template_version};
use crate::lookup::{FactValue, UserDataOf};

/// `DescribeInstanceAttribute`, `DescribeLaunchTemplateVersions` or `DescribeLaunchConfigurations`. Known
/// and empty where there is none.
pub(super) async fn user_data(clients: &Clients, of: &UserDataOf) -> Asked {
    match of {
        UserDataOf::Instance(instance) => {
            let answer = clients
                .ec2()
                .describe_instance_attribute()
                .instance_id(instance)
                .attribute(InstanceAttributeName::UserData)
                .send()
                .await;
            one(answer, &["InvalidInstanceID."], |answer| {
                Some(known(answer.user_data.and_then(|attribute| attribute.value)))
            })
        }
        UserDataOf::Template(template) => {
            template_version(clients.ec2(), template, |version| {
                known(version.launch_template_data.and_then(|data| data.user_data))
            })
            .await
        }
        UserDataOf::Configuration(name) => {
            let answer = clients
                .autoscaling()
                .describe_launch_configurations()
                .launch_configuration_names(name)
                .send()
                .await;
            one(answer, &[], |answer| {
                let mut found = answer.launch_configurations?.into_iter();
                let found = found.find(|one| one.launch_configuration_name.as_deref() == Some(name))?;
                Some(known(found.user_data))
            })
        }
    }
}

fn known(text: Option<String>) -> FactValue {
    FactValue::UserData(text.unwrap_or_default().into_bytes())
}
