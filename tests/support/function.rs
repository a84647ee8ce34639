//! The real `bootstrap` process, against a simulated runtime API.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use lambda_simulator::{Invocation, InvocationBuilder, InvocationState, InvocationStatus, Simulator};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{ACCOUNT, PATIENCE, REGION};

pub struct Function {
    pub simulator: Simulator,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What every function here is told.
pub fn environment(endpoint: &str, topic: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIDFUNCTION"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("TOPIC_ARN", topic),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Starts the binary with nothing of the test's own environment.
pub fn spawn(environment: impl IntoIterator<Item = (String, String)>) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env_clear()
        .envs(environment)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, stdout) = (lines.clone(), child.stdout.take().unwrap());
    tokio::spawn(async move {
        let mut stdout = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = stdout.next_line().await {
            kept.lock().unwrap().push(line);
        }
    });
    (child, lines)
}

fn invocation(payload: Value, timeout_ms: u64) -> Invocation {
    InvocationBuilder::new()
        .payload(payload)
        .timeout_ms(timeout_ms)
        .function_arn(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:imagewarden"))
        .build()
        .unwrap()
}

fn outcome(state: InvocationState) -> Result<Value, (String, String)> {
    match state.status {
        InvocationStatus::Success => Ok(state.response.unwrap().payload),
        _ => {
            let error = state.error.unwrap();
            Err((error.error_type, error.error_message))
        }
    }
}

impl Function {
    pub async fn start(endpoint: &str, topic: &str, more: &[(&str, &str)]) -> Self {
        let simulator =
            Simulator::builder().function_name("imagewarden").region(REGION).build().await.unwrap();
        let mut variables = simulator.lambda_env_vars();
        variables.extend(environment(endpoint, topic));
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (child, lines) = spawn(variables);
        Self { simulator, child, lines }
    }

    /// Invokes it: the reply, or the error's type and message.
    pub async fn invoke(&self, payload: Value) -> Result<Value, (String, String)> {
        self.invoke_within(payload, 60_000).await
    }

    pub async fn invoke_within(&self, payload: Value, timeout_ms: u64) -> Result<Value, (String, String)> {
        let id = self.simulator.enqueue(invocation(payload, timeout_ms)).await;
        let state = self.simulator.wait_for_invocation_complete(&id, PATIENCE).await.unwrap();
        outcome(state)
    }

    /// Invokes it as `replay` does.
    pub async fn invoke_replayed(&self, payload: Value) -> Result<Value, (String, String)> {
        let mut invocation = invocation(payload, 60_000);
        invocation.client_context = Some(r#"{"custom": {"imagewarden-replay": "true"}}"#.to_owned());
        let id = self.simulator.enqueue(invocation).await;
        outcome(self.simulator.wait_for_invocation_complete(&id, PATIENCE).await.unwrap())
    }

    /// Invokes it, unless its process ends before it answers.
    pub async fn invoke_or_die(
        &mut self,
        payload: Value,
        timeout_ms: u64,
    ) -> Option<Result<Value, (String, String)>> {
        let id = self.simulator.enqueue(invocation(payload, timeout_ms)).await;
        let state = tokio::select! {
            state = self.simulator.wait_for_invocation_complete(&id, PATIENCE) => state.ok()?,
            _ = self.child.wait() => return None,
        };
        Some(outcome(state))
    }

    /// The lines that it wrote so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// What it wrote so far, as JSON: logs and metrics.
    pub fn output(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }

    /// The sum of a metric over everything written so far.
    pub fn metric(&self, name: &str) -> f64 {
        let lines = self.output();
        lines
            .iter()
            .filter(|line| line.get("_aws").is_some())
            .filter_map(|line| line.get(name)?.as_f64())
            .sum()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Hands it an event and waits for its process to end.
    pub async fn invoke_to_death(&mut self, payload: Value, timeout_ms: u64) {
        let invocation = invocation(payload, timeout_ms);
        self.simulator.enqueue(invocation).await;
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it lives on").unwrap();
    }

    /// The process is still the same one.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory that the process had at once, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
    }
}
