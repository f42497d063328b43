//! The control poll: what the bus is asked, and what its answers say of the lock, the latches, the health check and panics.
//!
//! One round trip. Deliberately absent: sending it, and what follows for the lead.

use env::fact;
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, Value, cmd};
use tokio::time::Instant;

use super::leave::Leave;
use crate::{
    clients::bus::entries,
    core::{Cause, Dor, DorWatch, LOCK_TTL, Latch, LatchRecord, LatchSet, PanicNews, PanicWatch, Shown},
    status::Status,
    streams,
};

/// The lock.
const LOCK: &str = "lock:leader";

/// Compare-and-extend and compare-and-delete, as the documentation of Redis's SET gives them.
const EXTEND: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";
const DELETE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

/// How many of the newest panic events are looked through for one of the watchdog's: whoever else writes there is ignored.
const PANICS_LOOKED_BACK: u32 = 8;

/// The issuer whose panic events count (emergency exit runbook).
const WATCHDOG: &str = "watchdog";

/// What one answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    /// Whether the lock is this trader's.
    pub(super) is_ours: bool,
    pub(super) shown: Shown,
    dor: Option<Dor>,
    panic: PanicNews,
    panic_record: Option<LatchRecord>,
    /// The feeder's heartbeat as it stands.
    feeder: Option<String>,
}

/// The questions, and what is remembered of earlier answers.
pub(super) struct Control {
    holder: String,
    acquisition: Pipeline,
    confirming: Pipeline,
    extending: Pipeline,
    supervised: bool,
    dor: DorWatch,
    panic: PanicWatch,
    feeder: Option<String>,
    /// The latch that `system:state:trading` showed, and under which dataset.
    trading: Option<(Latch, String)>,
}

impl Control {
    /// Asks about a lock that holds `holder` when it is ours. With `supervised`, entries need the health check's consent.
    pub(super) fn new(holder: &str, supervised: bool) -> Self {
        let mut acquisition = Pipeline::new();
        acquisition.cmd("SET").arg(LOCK).arg(holder).arg("NX").arg("PX").arg(ttl());
        acquisition
            .add_command(compare_and_extend(holder))
            .cmd("HMGET")
            .arg(streams::DOR)
            .arg("dor")
            .arg("seq");
        let mut confirming = Pipeline::new();
        confirming.cmd("GET").arg(LOCK);
        let mut extending = Pipeline::new();
        extending.add_command(compare_and_extend(holder));
        Self {
            holder: holder.to_owned(),
            acquisition,
            confirming: ask_all_else(confirming),
            extending: ask_all_else(extending),
            supervised,
            dor: DorWatch::default(),
            panic: PanicWatch::default(),
            feeder: None,
            trading: None,
        }
    }

    /// Takes the lock if it is free or ours already. A standby follows the health check, too, so that it knows how old a
    /// verdict is when it comes to lead.
    pub(super) const fn acquisition(&self) -> &Pipeline {
        &self.acquisition
    }

    /// Whether the lock is ours now.
    pub(super) fn acquired(&mut self, sent: Instant, answers: &[Value]) -> bool {
        if let Some(answer) = answers.get(2) {
            self.dor.observe(sent, dor(answer));
        }
        answers.get(1) == Some(&Value::Int(1))
    }

    /// The poll of a leader.
    pub(super) const fn question(&self, extends: bool) -> &Pipeline {
        if extends { &self.extending } else { &self.confirming }
    }

    /// Frees the lock if it is ours.
    pub(super) fn release(&self) -> Pipeline {
        let mut release = Pipeline::new();
        release.cmd("EVAL").arg(DELETE).arg(1).arg(LOCK).arg(&self.holder);
        release
    }

    /// Reads the answers to [`Control::question`].
    ///
    /// # Errors
    /// They are not what was asked for.
    pub(super) fn read(&mut self, answers: Vec<Value>) -> Result<Sight, RedisError> {
        let [lock, halts, trading, dataset, verdict, panics, completed, feeder]: [Value; 8] = answers
            .try_into()
            .map_err(|_| RedisError::from((ErrorKind::Parse, "the poll has another number of answers")))?;
        let is_ours = match &lock {
            Value::Int(extended) => *extended == 1,
            Value::BulkString(holder) => holder == self.holder.as_bytes(),
            _ => false,
        };
        let dataset: Option<String> = FromRedisValue::from_redis_value(dataset)?;
        let dataset = dataset.unwrap_or_default();
        let mut latches = latches(FromRedisValue::from_redis_value(halts)?);
        self.mark(FromRedisValue::from_redis_value(trading)?, &dataset, &mut latches);
        let (event, panic_record) = newest_panic(&panics).unzip();
        let completed = entries(&completed).next().and_then(|entry| Some(entry.get("event_id")?.to_owned()));
        Ok(Sight {
            is_ours,
            shown: Shown { dataset, latches },
            dor: dor(&verdict),
            panic: PanicNews { event, completed },
            panic_record,
            feeder: FromRedisValue::from_redis_value(feeder)?,
        })
    }

    /// `system:state:trading` is a second mark of a latch. Once it has been seen, whoever deletes it has cleared the latch,
    /// whatever `system:halts` says (emergency exit runbook, "Manual reset").
    fn mark(&mut self, trading: [Option<String>; 3], dataset: &str, latches: &mut LatchSet) {
        let [halted, reason, source] = trading.map(Option::unwrap_or_default);
        if matches!(halted.as_str(), "1" | "true") {
            let latch = reason.parse().unwrap_or(Latch::Panic);
            self.trading = Some((latch, dataset.to_owned()));
            latches.entry(latch).or_insert(LatchRecord { set_by: source, set_at: 0, why: reason });
        } else if let Some((latch, seen_under)) = &self.trading
            && seen_under == dataset
        {
            latches.remove(latch);
        }
    }

    /// Takes note of what an answer says beside the lock and the latches; the record of a panic that nobody has latched.
    pub(super) fn oversee(
        &mut self,
        asked: Instant,
        sight: &Sight,
        leave: &Leave,
        status: &Status,
    ) -> Option<LatchRecord> {
        let ready = self.dor.observe(asked, sight.dor);
        match self.supervised && !ready {
            true => leave.raise(Cause::DorFalse),
            false => leave.end(&Cause::DorFalse),
        }
        if sight.feeder.is_some() && sight.feeder != self.feeder {
            self.feeder.clone_from(&sight.feeder);
            status.beat("md_heartbeat_seconds");
        }
        let panic = self.panic.observe(Instant::now(), &sight.panic);
        leave.set_panicking(panic.is_active);
        if !panic.is_new {
            return None;
        }
        fact!("panic.seen", event_id = sight.panic.event.as_deref().unwrap_or_default());
        leave.latch(Latch::Panic);
        sight.panic_record.clone()
    }
}

fn ttl() -> u64 {
    u64::try_from(LOCK_TTL.as_millis()).unwrap_or(u64::MAX)
}

fn compare_and_extend(holder: &str) -> redis::Cmd {
    let mut extend = cmd("EVAL");
    extend.arg(EXTEND).arg(1).arg(LOCK).arg(holder).arg(ttl());
    extend
}

/// Adds to the question about the lock everything else that a leader must know.
fn ask_all_else(mut question: Pipeline) -> Pipeline {
    question.cmd("HGETALL").arg(streams::HALTS);
    question.cmd("HMGET").arg(streams::TRADING_STATE).arg("halted").arg("reason").arg("source");
    question.cmd("GET").arg("bus:dataset_epoch");
    question.cmd("HMGET").arg(streams::DOR).arg("dor").arg("seq");
    question.cmd("XREVRANGE").arg(streams::PANIC).arg("+").arg("-").arg("COUNT").arg(PANICS_LOOKED_BACK);
    question.cmd("XREVRANGE").arg(streams::PANIC_COMPLETED).arg("+").arg("-").arg("COUNT").arg(1);
    question.cmd("GET").arg(streams::heartbeat("feeder"));
    question
}

/// The latches of `system:halts`. One whose record cannot be read stands nevertheless; other fields are nobody's latch.
fn latches(halts: std::collections::BTreeMap<String, String>) -> LatchSet {
    let read = |(name, record): (String, String)| {
        let latch: Latch = name.parse().ok()?;
        let unreadable = || LatchRecord { set_by: "unknown".into(), set_at: 0, why: record.clone() };
        Some((latch, serde_json::from_str(&record).unwrap_or_else(|_| unreadable())))
    };
    halts.into_iter().filter_map(read).collect()
}

fn dor(answer: &Value) -> Option<Dor> {
    let [ready, seq]: [Option<u64>; 2] = FromRedisValue::from_redis_value(answer.clone()).ok()?;
    Some(Dor { ready: ready? == 1, seq: seq? })
}

/// The newest event of the watchdog, and the latch that it calls for.
fn newest_panic(panics: &Value) -> Option<(String, LatchRecord)> {
    entries(panics).find(|entry| entry.get("issued_by") == Some(WATCHDOG)).and_then(|entry| {
        let why = entry.get("reason").unwrap_or_default().to_owned();
        let set_at = entry.get("ts").and_then(|ts| ts.parse().ok()).unwrap_or_default();
        Some((entry.get("event_id")?.to_owned(), LatchRecord { set_by: WATCHDOG.into(), set_at, why }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn bulks(texts: &[&str]) -> Value {
        Value::Array(texts.iter().map(|text| bulk(text)).collect())
    }

    fn entry(fields: &[&str]) -> Value {
        Value::Array(vec![Value::Array(vec![bulk("1-0"), bulks(fields)])])
    }

    /// Answers of a bus on which nothing but the lock and the dataset epoch stand.
    fn quiet(lock: Value) -> Vec<Value> {
        let none = || Value::Array(vec![]);
        let nothing = |n: usize| Value::Array(vec![Value::Nil; n]);
        vec![lock, none(), nothing(3), bulk("d1"), nothing(2), none(), none(), Value::Nil]
    }

    #[test]
    fn the_lock_is_ours_only_when_the_bus_says_so() {
        let mut control = Control::new("trader-a:1", false);
        for (lock, is_ours) in [
            (bulk("trader-a:1"), true),
            (bulk("trader-b:1"), false),
            (Value::Nil, false),
            (Value::Int(1), true),
            (Value::Int(0), false),
        ] {
            assert_eq!(control.read(quiet(lock)).unwrap().is_ours, is_ours);
        }
        assert!(control.read(vec![Value::Int(1)]).is_err());
        let now = Instant::now();
        let none = Value::Array(vec![Value::Nil, Value::Nil]);
        assert!(control.acquired(now, &[Value::Okay, Value::Int(1), none.clone()]));
        assert!(control.acquired(now, &[Value::Nil, Value::Int(1), none.clone()]), "it was ours before");
        assert!(!control.acquired(now, &[Value::Nil, Value::Int(0), none]));
    }

    #[test]
    fn latches_are_read_also_when_their_records_are_not() {
        let mut control = Control::new("me", false);
        let mut answers = quiet(bulk("me"));
        answers[1] = bulks(&[
            "KILL_SWITCH",
            r#"{"set_by":"ops","set_at":5,"why":"test"}"#,
            "FAILSAFE",
            "??",
            "X",
            "1",
        ]);
        let shown = control.read(answers).unwrap().shown;
        let names: Vec<Latch> = shown.latches.keys().copied().collect();
        assert_eq!(names, [Latch::Failsafe, Latch::KillSwitch]);
        assert_eq!(shown.latches[&Latch::KillSwitch].set_at, 5);
        assert_eq!(shown.dataset, "d1");
    }

    #[test]
    fn whoever_deletes_the_trading_state_clears_its_latch_unless_the_bus_lost_it() {
        let mut control = Control::new("me", false);
        let field = || bulks(&["PANIC", r#"{"set_by":"watchdog","set_at":5,"why":"test"}"#]);
        let mut halted = quiet(bulk("me"));
        halted[1] = field();
        assert!(control.read(halted.clone()).unwrap().shown.latches.contains_key(&Latch::Panic));
        halted[2] = bulks(&["true", "EXIT_BRAIN_HEARTBEAT_MISSING", "emergency-exit"]);
        assert!(control.read(halted).unwrap().shown.latches.contains_key(&Latch::Panic));
        let mut deleted = quiet(bulk("me"));
        deleted[1] = field();
        assert!(control.read(deleted.clone()).unwrap().shown.latches.is_empty());
        deleted[3] = bulk("d2");
        assert!(control.read(deleted).unwrap().shown.latches.contains_key(&Latch::Panic));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_watchdogs_panic_counts_and_ends_when_it_is_completed() {
        let mut control = Control::new("me", false);
        let (leave, status) = (Leave::default(), Status::default());
        let mut see = |panics: Value, completed: Value| {
            let mut answers = quiet(bulk("me"));
            (answers[5], answers[6]) = (panics, completed);
            let sight = control.read(answers).unwrap();
            control.oversee(Instant::now(), &sight, &leave, &status)
        };
        let none = || Value::Array(vec![]);
        assert_eq!(see(entry(&["event_id", "e0", "issued_by", "mallory"]), none()), None);
        assert!(!leave.halts().is_latched(Latch::Panic));
        let event = || entry(&["event_id", "e1", "issued_by", "watchdog", "reason", "LOST", "ts", "9"]);
        let record = see(event(), none());
        assert_eq!(record, Some(LatchRecord { set_by: "watchdog".into(), set_at: 9, why: "LOST".into() }));
        assert!(leave.halts().may_exit().is_err());
        assert_eq!(see(event(), entry(&["event_id", "e1"])), None);
        assert!(leave.halts().may_exit().is_ok() && leave.halts().is_latched(Latch::Panic));
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervised_trader_needs_a_fresh_verdict() {
        for (supervised, consents) in [(true, false), (false, true)] {
            let mut control = Control::new("me", supervised);
            let (leave, status) = (Leave::default(), Status::default());
            let sight = control.read(quiet(bulk("me"))).unwrap();
            control.oversee(Instant::now(), &sight, &leave, &status);
            assert_eq!(leave.halts().is_empty(), consents);
        }
    }
}
