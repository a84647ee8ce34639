//! What ran: containers, processes, connections, names, and what others say of them.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where something ran: every identity that the event gives. They are the keys by which events join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `i-...`
    pub instance: Option<String>,
    /// `eni-...`
    pub network_interface: Option<String>,
    pub vpc: Option<String>,
    /// Private address, which means something only with its VPC and time.
    pub address: Option<IpAddr>,
    /// ECS or EKS cluster: name or ARN as given.
    pub cluster: Option<String>,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    /// Deployment, service, job: what people deploy.
    pub workload: Option<String>,
    /// Container id without its runtime's prefix (`containerd://`).
    pub container: Option<String>,
    /// ECS task ARN.
    pub task: Option<String>,
    /// Host or node name.
    pub node: Option<String>,
    pub image: Option<ContainerImage>,
}

impl Place {
    /// Whether it is inside a container, a pod or a task.
    pub fn is_container(&self) -> bool {
        self.container.is_some() || self.pod.is_some() || self.task.is_some() || self.image.is_some()
    }

    /// The narrowest identity, for people and subjects: the container, else pod, task, instance, node.
    pub fn label(&self) -> String {
        if let Some(pod) = &self.pod {
            return format!("{}/{pod}", self.namespace.as_deref().unwrap_or("default"));
        }
        let narrow = [&self.container, &self.task, &self.instance, &self.node, &self.network_interface];
        let known = narrow.into_iter().flatten().next().cloned();
        known
            .or_else(|| self.address.map(|address| address.to_string()))
            .unwrap_or_else(|| "unknown".to_owned())
    }
}

/// A container image as an event names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContainerImage {
    /// As written, without a digest: `docker.io/library/nginx:1.27`, `111122223333.dkr.ecr...`.
    pub name: String,
    /// `sha256:...`
    pub digest: Option<String>,
}

/// An image was pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub image: ContainerImage,
    /// The ECR repository, where it is one.
    pub repository: Option<String>,
    /// The registry that a pull-through cache fetched it from.
    pub upstream: Option<String>,
    pub place: Place,
}

/// Something was declared that will run images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    pub kind: WorkloadKind,
    /// `family:revision`, pod, function or service name.
    pub name: String,
    pub cluster: Option<String>,
    pub namespace: Option<String>,
    pub containers: Vec<DeclaredContainer>,
    /// CPU units of an ECS task (1024 a virtual CPU).
    pub cpu: Option<u32>,
    /// How many copies are wanted.
    pub count: Option<u32>,
    /// What a service or task runs: the task definition it names.
    pub definition: Option<String>,
    /// A command run inside by `ExecuteCommand` or `kubectl exec`.
    pub command: Option<String>,
    pub failed: Option<String>,
}

/// What kind of declaration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    TaskDefinition,
    Task,
    Service,
    Cluster,
    Pod,
    /// Deployment, daemon set, stateful set, job, cron job.
    PodTemplate,
    /// Lambda.
    Function,
    /// AWS Batch.
    Job,
    /// SageMaker.
    Model,
    /// What a service runs by itself: App Runner, Lightsail, EMR Serverless, AgentCore, ECS Express.
    Application,
    /// CodeBuild, Image Builder.
    Build,
    /// A command in something that runs already.
    Exec,
}

/// One container of a declaration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredContainer {
    pub name: String,
    pub image: ContainerImage,
    /// Entry point and arguments.
    pub command: Vec<String>,
    /// Names of environment variables; values are not kept.
    pub environment: Vec<String>,
    pub privileged: bool,
    /// `Always`, `IfNotPresent`, `Never`.
    pub pull_policy: Option<String>,
}

/// A container started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub place: Place,
    pub pulled: Option<DateTime<Utc>>,
    pub created: Option<DateTime<Utc>>,
    pub started: Option<DateTime<Utc>>,
    /// Overrides of the image's command.
    pub command: Vec<String>,
}

/// A program was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub place: Place,
    /// Path as given.
    pub binary: String,
    /// The whole line after the binary, as one text.
    pub arguments: String,
    /// The parent's path.
    pub parent: Option<String>,
    pub user: Option<String>,
    /// Names of environment variables where the log has them.
    pub environment: Vec<String>,
    /// A kubelet probe: the platform's own doing.
    pub probe: bool,
}

impl Process {
    /// The file name of the binary, without `.exe`, lower case.
    pub fn name(&self) -> String {
        program(&self.binary)
    }
}

/// The path of a program without what the kernel adds where its file is gone or never was: ` (deleted)`, `/memfd:`,
/// NULs at its end.
pub fn program_path(path: &str) -> &str {
    let blank = |it: char| it == '\0' || it.is_whitespace();
    let mut path = path.trim_end_matches(blank);
    while let Some(rest) = path.strip_suffix("(deleted)") {
        path = rest.trim_end_matches(blank);
    }
    path.trim_start_matches('/').strip_prefix("memfd:").filter(|name| !name.is_empty()).unwrap_or(path)
}

/// The file name of a program, without `.exe`, lower case.
pub fn program(path: &str) -> String {
    let name = program_path(path).rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_file_is_gone_keeps_its_name() {
        for path in [
            "/tmp/xmrig",
            "/tmp/xmrig (deleted)",
            "/memfd:xmrig (deleted)",
            "memfd:xmrig",
            "/tmp/xmrig\0\0",
            r"C:\x\XMRIG.EXE",
        ] {
            assert_eq!(program(path), "xmrig", "{path}");
        }
        assert_eq!(program("/usr/bin/deleted"), "deleted");
    }
}

/// A connection was made or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub place: Place,
    pub destination: IpAddr,
    pub port: u16,
    /// `tcp`, `udp` ...
    pub protocol: Option<String>,
    /// The program's path, where the log knows it.
    pub process: Option<String>,
    /// The name it was reached by, where the log knows it.
    pub domain: Option<String>,
    /// Refused by a security group or network ACL.
    pub rejected: bool,
}

/// A name was looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    pub place: Place,
    /// Without the trailing dot, lower case.
    pub name: String,
    pub answers: Vec<IpAddr>,
    /// The program's path, where the log knows it.
    pub process: Option<String>,
}

/// Another detector's verdict: a GuardDuty finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// The finding's id; the same for all its updates.
    pub finding: String,
    /// `Execution:EC2/MaliciousFile!AMI`
    pub finding_type: String,
    pub title: String,
    /// 0 to 10.
    pub severity: f64,
    pub place: Place,
    /// The machine image that the finding is about, or that the instance runs.
    pub machine_image: Option<String>,
    /// Names of malware and files.
    pub threats: Vec<String>,
    /// A sample that somebody had generated.
    pub sample: bool,
}
