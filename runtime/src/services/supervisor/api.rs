//! What operators may see and have done.
//!
//! Seeing is free; doing needs the bearer token and is audited, whether it was allowed or not. What was begun is finished even
//! if whoever asked hangs up: each request runs in a task of its own. `POST /admin/halt/clear` clears one latch at a time;
//! `STOP.TXT` is one of its own.

use std::sync::Arc;

use async_trait::async_trait;
use env::Env;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{Request, Wish, files, latching::Latching, page, probes::PATIENCE};
use crate::{
    clients::process::Process,
    core::{Latch, health::Component, kill_switch::Verdict},
    services::audit::Audit,
    state::StateFile,
    status::{Answer, Asked, Routes},
};

/// Who asks: everybody who has the token.
const ACTOR: &str = "operator";

/// The reason that stands for `STOP.TXT` in `POST /admin/halt/clear`.
const STOP_FILE: &str = "STOP.TXT";

/// The interface.
#[derive(Clone)]
pub(super) struct Api {
    env: Env,
    token: String,
    traders: Vec<Process>,
    latching: Arc<Mutex<Latching>>,
    audit: Audit,
    requests: mpsc::Sender<Request>,
}

/// Something that an operator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    Activate { reason: String },
    Deactivate { reason: String },
    ClearHalt(Latch),
    ClearStopFile,
    Restart(Component),
    ResetBreaker { symbol: String },
    Check,
}

impl Deed {
    const fn action(&self) -> &'static str {
        match self {
            Self::Activate { .. } => "kill_switch.activate",
            Self::Deactivate { .. } => "kill_switch.deactivate",
            Self::ClearHalt(_) | Self::ClearStopFile => "halt.clear",
            Self::Restart(_) => "restart",
            Self::ResetBreaker { .. } => "breaker.reset",
            Self::Check => "health.check",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Activate { reason } | Self::Deactivate { reason } => reason.clone(),
            Self::ClearHalt(latch) => latch.to_string(),
            Self::ClearStopFile => STOP_FILE.into(),
            Self::Restart(component) => component.to_string(),
            Self::ResetBreaker { symbol } => symbol.clone(),
            Self::Check => String::new(),
        }
    }
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    symbol: String,
}

/// The deed that a request names; `None` when there is no such endpoint.
fn deed(path: &str, body: &[u8]) -> Option<Result<Deed, String>> {
    let body = || -> Result<Body, String> {
        if body.is_empty() {
            return Ok(Body::default());
        }
        serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))
    };
    Some(match path {
        "/execution/kill-switch/activate" => body().map(|body| Deed::Activate { reason: body.reason }),
        "/execution/kill-switch/deactivate" => body().map(|body| Deed::Deactivate { reason: body.reason }),
        "/admin/halt/clear" => body().and_then(|Body { reason, .. }| match reason.as_str() {
            STOP_FILE => Ok(Deed::ClearStopFile),
            name => name.parse().map(Deed::ClearHalt).map_err(|error| format!("{error}")),
        }),
        "/admin/breaker/reset" => body().map(|body| Deed::ResetBreaker { symbol: body.symbol }),
        "/admin/health/check" => Ok(Deed::Check),
        path => {
            let name = path.strip_prefix("/admin/restart/")?;
            let component = Component::of_process(name).or_else(|| Component::named(name));
            component
                .filter(|component| component.process().is_some())
                .map(Deed::Restart)
                .ok_or_else(|| format!("{name:?} is no process"))
        }
    })
}

#[async_trait]
impl Routes for Api {
    async fn answer(&self, asked: &Asked) -> Option<Answer> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::GET, "/") => Some(self.show(|health| Answer::html(page::html(health))).await),
            (&Method::GET, "/status") => {
                Some(self.show(|health| Answer::json(StatusCode::OK, &json!(health))).await)
            }
            (&Method::GET, "/execution/kill-switch/status") => Some(self.kill_switch().await),
            (&Method::POST, path) => {
                let deed = deed(path, &asked.body)?;
                if !self.knows_token(asked) {
                    self.audit.record("unknown", "refused", path);
                    return Some(Answer::refusal(
                        StatusCode::UNAUTHORIZED,
                        "this takes the operator's token",
                    ));
                }
                Some(match deed {
                    Ok(deed) => self.carry_out(deed).await,
                    Err(why) => Answer::refusal(StatusCode::BAD_REQUEST, why),
                })
            }
            _ => None,
        }
    }
}

impl Api {
    pub(super) fn new(
        env: &Env,
        token: String,
        processes: &[Component],
        latching: Arc<Mutex<Latching>>,
        audit: Audit,
        requests: mpsc::Sender<Request>,
    ) -> Self {
        let traders = processes.iter().filter(|name| matches!(name, Component::TraderA | Component::TraderB));
        let traders =
            traders.filter_map(|trader| Some(Process::new(env.clone(), trader.process()?))).collect();
        Self { env: env.clone(), token, traders, latching, audit, requests }
    }

    fn knows_token(&self, asked: &Asked) -> bool {
        // Comparing digests takes the same time for every wrong token.
        let digest = |token: &str| Sha256::digest(token.as_bytes());
        let known = asked.bearer.as_ref().is_some_and(|given| digest(given) == digest(&self.token));
        known && !self.token.is_empty()
    }

    /// Reads `health_v2.json` anew each time.
    async fn show(&self, show: impl FnOnce(&files::HealthFile) -> Answer) -> Answer {
        show(StateFile::<files::HealthFile>::load(self.env.clone()).await.value())
    }

    async fn kill_switch(&self) -> Answer {
        let standing = self.latching.lock().await.standing();
        let record = standing.get(&Latch::KillSwitch);
        let halts: Vec<&str> = standing.keys().map(|latch| latch.as_str()).collect();
        Answer::json(StatusCode::OK, &json!({ "active": record.is_some(), "since": record, "halts": halts }))
    }

    async fn carry_out(&self, deed: Deed) -> Answer {
        self.audit.record(ACTOR, deed.action(), deed.detail());
        let (done, outcome) = oneshot::channel();
        let api = self.clone();
        self.env.spawn("supervisor.deed", async move {
            // Whoever asked may have hung up.
            let _ = done.send(api.outcome(deed).await);
        });
        match outcome.await {
            Ok(Ok(())) => Answer::json(StatusCode::OK, &json!({ "done": true })),
            Ok(Err(why)) => Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, why),
            Err(_) => Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, "the supervisor is ending"),
        }
    }

    async fn outcome(&self, deed: Deed) -> Result<(), String> {
        match deed {
            Deed::Activate { reason } => {
                let verdict = self.latching.lock().await.set(Latch::KillSwitch, ACTOR, &reason).await;
                acknowledged(verdict, "the halt is not durable anywhere; it may act, ask again")
            }
            Deed::Deactivate { .. } => self.clear(Latch::KillSwitch).await,
            Deed::ClearHalt(Latch::Failsafe) => {
                self.request(Wish::ForgetCases).await?;
                self.clear(Latch::Failsafe).await
            }
            Deed::ClearHalt(latch) => self.clear(latch).await,
            Deed::ClearStopFile => files::remove_stop(&self.env).await.map_err(|error| error.to_string()),
            Deed::Restart(component) => self.request(Wish::Restart(component)).await,
            Deed::ResetBreaker { symbol } => self.reset_breaker(&symbol).await,
            Deed::Check => self.request(Wish::Check).await,
        }
    }

    async fn clear(&self, latch: Latch) -> Result<(), String> {
        let verdict = self.latching.lock().await.clear(latch, ACTOR).await;
        acknowledged(verdict, "the halt could not be cleared everywhere, and stands")
    }

    async fn request(&self, wish: Wish) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let ending = || "the supervisor is ending".to_owned();
        self.requests.send(Request { wish, done }).await.map_err(|_| ending())?;
        outcome.await.unwrap_or_else(|_| Err(ending()))
    }

    /// The breakers are the traders'; both are told, because either may lead next.
    async fn reset_breaker(&self, symbol: &str) -> Result<(), String> {
        let body = json!({ "symbol": symbol }).to_string();
        for trader in &self.traders {
            let told = trader.post("/admin/breaker/reset", &self.token, body.clone(), PATIENCE).await;
            match told {
                Ok(reply) if reply.status.is_success() => {}
                Ok(reply) => {
                    return Err(format!("{}: {}", trader.host(), String::from_utf8_lossy(&reply.body)));
                }
                Err(error) => return Err(format!("{}: {error}", trader.host())),
            }
        }
        Ok(())
    }
}

fn acknowledged(verdict: Verdict, otherwise: &str) -> Result<(), String> {
    if verdict == Verdict::Acknowledged { Ok(()) } else { Err(otherwise.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_names_its_deed_and_no_other_path_any() {
        for (path, body, expected) in [
            ("/execution/kill-switch/activate", r#"{"reason":"r"}"#, Deed::Activate { reason: "r".into() }),
            ("/execution/kill-switch/deactivate", "", Deed::Deactivate { reason: String::new() }),
            ("/admin/halt/clear", r#"{"reason":"PANIC"}"#, Deed::ClearHalt(Latch::Panic)),
            ("/admin/halt/clear", r#"{"reason":"STOP.TXT"}"#, Deed::ClearStopFile),
            ("/admin/restart/feeder", "", Deed::Restart(Component::Feeder)),
            ("/admin/restart/Feeder", "", Deed::Restart(Component::Feeder)),
            ("/admin/breaker/reset", r#"{"symbol":"S"}"#, Deed::ResetBreaker { symbol: "S".into() }),
            ("/admin/health/check", "", Deed::Check),
        ] {
            assert_eq!(deed(path, body.as_bytes()), Some(Ok(expected)));
        }
        for (path, body) in [
            ("/admin/halt/clear", ""),
            ("/admin/halt/clear", r#"{"reason":"DOR_FALSE"}"#),
            ("/admin/restart/bus", ""),
            ("/admin/restart/", ""),
            ("/execution/kill-switch/activate", "{"),
        ] {
            assert!(matches!(deed(path, body.as_bytes()), Some(Err(_))), "{path} {body}");
        }
        assert_eq!(deed("/admin", b""), None);
    }
}
