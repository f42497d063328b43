//! `tradewind ops`: the operator's client of a running supervisor.
//!
//! Each command is one request, or the few that the runbooks name, and prints what was answered. Deliberately absent: any
//! knowledge of what is healthy, which is the supervisor's.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use env::os;
use runtime::clients::process::{Process, Reply};
use serde_json::json;

use crate::{
    Found,
    args::{KillSwitch, OpsArgs, OpsCommand},
    say,
};

/// The role name that stands for the address given.
const SUPERVISOR: &str = "supervisor";

/// How long an answer may take: a halt without the bus is acknowledged when every lease has run out, after 30 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// Does what is asked; [`Found::Failures`] when the supervisor refuses.
pub fn ops(args: &OpsArgs) -> Result<Found> {
    let data = tempfile::tempdir().context("no room for a directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let env = os::env(os::Config {
            data_dir: data.path().into(),
            hosts: [(SUPERVISOR.to_owned(), args.at.clone())].into(),
            ..os::Config::default()
        })?;
        let client = Client { process: Process::new(env, SUPERVISOR), token: &args.token };
        client.carry_out(&args.command).await
    })
}

struct Client<'a> {
    process: Process,
    token: &'a str,
}

impl Client<'_> {
    async fn carry_out(&self, command: &OpsCommand) -> Result<Found> {
        let reason = |reason: &str| json!({ "reason": reason });
        match command {
            OpsCommand::Status => self.get("/status").await,
            OpsCommand::Health => self.get("/ready").await,
            OpsCommand::Metrics => self.get("/metrics").await,
            OpsCommand::Check => {
                self.post("/admin/health/check", &json!({})).await?;
                self.get("/status").await
            }
            OpsCommand::Restart { name } => self.post(&format!("/admin/restart/{name}"), &json!({})).await,
            OpsCommand::ClearHalt { reason: halt } => self.post("/admin/halt/clear", &reason(halt)).await,
            OpsCommand::ClearFailsafe => {
                for latch in ["STOP.TXT", "FAILSAFE"] {
                    say!("{latch}:");
                    if let Found::Failures = self.post("/admin/halt/clear", &reason(latch)).await? {
                        return Ok(Found::Failures);
                    }
                }
                Ok(Found::AllHeld)
            }
            OpsCommand::ResetBreaker { symbol } => {
                self.post("/admin/breaker/reset", &json!({ "symbol": symbol })).await
            }
            OpsCommand::KillSwitch(KillSwitch::Status) => self.get("/execution/kill-switch/status").await,
            OpsCommand::KillSwitch(KillSwitch::Activate { reason: why }) => {
                self.post("/execution/kill-switch/activate", &reason(why)).await
            }
            OpsCommand::KillSwitch(KillSwitch::Deactivate { reason: why }) => {
                self.post("/execution/kill-switch/deactivate", &reason(why)).await
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Found> {
        let reply = self.process.get(path, PATIENCE).await;
        print(&reply.with_context(|| format!("GET {path}"))?)
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Found> {
        if self.token.is_empty() {
            bail!("this takes the operator's token: --token or TRADEWIND_OPS_TOKEN");
        }
        let reply = self.process.post(path, self.token, body.to_string(), PATIENCE).await;
        print(&reply.with_context(|| format!("POST {path}: whether it was done is not known"))?)
    }
}

fn print(reply: &Reply) -> Result<Found> {
    let text = std::str::from_utf8(&reply.body).context("the answer is no text")?;
    say!("{}", text.trim_end());
    Ok(if reply.status.is_success() { Found::AllHeld } else { Found::Failures })
}
