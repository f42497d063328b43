//! Every fault of the bus, as a plan writes it: what a client that counts sees, and which dataset epoch it finds.

use bus::{AppendFsync, Config};
use env::{Env, fact};
use faults::Board;
use redis::Value;
use runtime::clients::bus::Bus;
use sim::{Case, Event, Options, Outcome, Plan, mins, ms, run};
use tokio::time::{Instant, sleep};

/// Nothing survives the process.
const IN_MEMORY: Option<AppendFsync> = None;
const EVERYSEC: Option<AppendFsync> = Some(AppendFsync::EverySec);
const ALWAYS: Option<AppendFsync> = Some(AppendFsync::Always);

/// A run that has held.
struct Run(Outcome);

/// A bus and a client under a plan, in which every fault of the bus must have an effect.
fn under(append: Option<AppendFsync>, plan: &str) -> Run {
    let text = plan.to_owned();
    let case = Case::new("counter", move |world| {
        let board = Board::new();
        world.peer("bus", board.clone());
        world.host("bus", move |env| {
            let append_fsync = append.unwrap_or(AppendFsync::EverySec);
            let (append_only, faults) = (append.is_some(), board.clone());
            let config = Config { append_only, append_fsync, faults, ..Config::default() };
            async move { bus::serve(env, config).await.expect("the bus can serve") }
        });
        world.host("client", count);
    })
    .safety(mins(1))
    .verify(move |check| {
        // `peer bus slow` of `2s  peer bus slow 1s..2s  for 1s`.
        for line in text.lines() {
            let words: Vec<&str> =
                line.split_whitespace().skip_while(|word| *word != "peer").take(3).collect();
            if !words.is_empty() {
                check.reached(words.join(" "));
            }
        }
    });
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome =
        run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("a plan that fits");
    let story: String = outcome.events.iter().map(|event| format!("{event}\n")).collect();
    assert!(outcome.verdict.held(), "{}\n{story}", outcome.verdict);
    Run(outcome)
}

/// Looks what the bus holds and counts on, ten times a second.
async fn count(env: Env) {
    let mut bus = Bus::for_commands(env, "counter");
    bus.insist(redis::cmd("SET").arg("lock").arg("mine").arg("PX").arg(600_000)).await;
    for number in 1_u64.. {
        let found = bus.insist(redis::cmd("MGET").arg("number").arg("lock").arg("bus:dataset_epoch")).await;
        let [number_found, lock, epoch] = texts(found);
        fact!("client.found", number = %number_found, lock = %lock, epoch = %epoch);
        let sent = Instant::now();
        bus.insist(redis::cmd("SET").arg("number").arg(number)).await;
        fact!("client.wrote", number, took_ms = sent.elapsed().as_millis() as u64);
        sleep(ms(100)).await;
    }
}

fn texts(found: Value) -> [String; 3] {
    let Value::Array(items) = found else {
        panic!("MGET answers an array, not {found:?}");
    };
    let text = |item: Value| match item {
        Value::BulkString(bytes) => String::from_utf8(bytes).expect("text"),
        _ => "none".into(),
    };
    items.into_iter().map(text).collect::<Vec<_>>().try_into().expect("three items")
}

impl Run {
    fn named(&self, name: &str) -> Vec<&Event> {
        self.0.events.iter().filter(|event| event.name == name).collect()
    }

    fn told(&self, name: &str, field: &str) -> Vec<String> {
        self.named(name).iter().map(|event| event.text(field).expect("a text").to_owned()).collect()
    }

    /// How many acknowledged writes were gone when the client looked again, each time when there were any.
    fn losses(&self) -> Vec<u64> {
        let mut written = 0;
        let mut losses = Vec::new();
        for event in &self.0.events {
            match event.name {
                "client.wrote" => written = event.number("number").expect("a number"),
                "client.found" => {
                    let found = event.text("number").expect("a text").parse().unwrap_or(0);
                    losses.extend(Some(written - found).filter(|lost| *lost > 0));
                }
                _ => {}
            }
        }
        losses
    }

    /// How many epochs the client has seen.
    fn epochs(&self) -> usize {
        let mut epochs = self.told("client.found", "epoch");
        epochs.dedup();
        epochs.len()
    }

    fn reconnects(&self) -> usize {
        self.named("bus.up").len() - 1
    }
}

#[test]
fn without_faults_nothing_is_lost_and_the_epoch_stays() {
    for append in [IN_MEMORY, EVERYSEC, ALWAYS] {
        let run = under(append, "");
        assert_eq!((run.losses(), run.epochs(), run.reconnects()), (vec![], 1, 0), "{append:?}");
        assert!(run.named("client.wrote").len() > 400);
    }
}

#[test]
fn restart_what_is_not_in_a_file_is_lost_and_the_epoch_tells() {
    let run = under(IN_MEMORY, "20s host restart bus");
    assert!(run.losses()[0] > 100);
    assert_eq!((run.losses().len(), run.epochs(), run.reconnects()), (1, 2, 1));
    assert_eq!(run.told("client.found", "lock").last().map(String::as_str), Some("none"));
}

#[test]
fn restart_with_everysec_loses_nothing_here_but_cannot_know_it() {
    let run = under(EVERYSEC, "20s host restart bus");
    assert_eq!((run.losses(), run.epochs(), run.reconnects()), (vec![], 2, 1));
    assert_eq!(run.told("bus.dataset_epoch", "reason"), ["new dataset", "not stopped in order"]);
}

#[test]
fn stop_in_order_loses_nothing_and_keeps_the_epoch() {
    for append in [EVERYSEC, ALWAYS] {
        let run = under(append, "20s host stop bus for 3s");
        assert_eq!((run.losses(), run.epochs(), run.reconnects()), (vec![], 1, 1), "{append:?}");
        assert_eq!(run.named("bus.stopped").len(), 1);
    }
}

#[test]
fn lose_since_last_fsync_everysec_loses_about_a_second_and_the_epoch_tells() {
    let run = under(EVERYSEC, "20.9s host power-loss bus keeping none for 1s");
    let losses = run.losses();
    assert!(losses.len() == 1 && (1..=12).contains(&losses[0]), "{losses:?}");
    assert_eq!(run.epochs(), 2);
    let torn = under(EVERYSEC, "20.9s host power-loss bus keeping torn for 1s");
    assert!(torn.losses().iter().all(|lost| *lost <= 12) && torn.epochs() == 2, "{:?}", torn.losses());
}

#[test]
fn lose_since_last_fsync_always_has_nothing_to_lose() {
    for kept in ["none", "torn", "all"] {
        let run = under(ALWAYS, &format!("20.9s host power-loss bus keeping {kept} for 1s"));
        assert_eq!(run.losses(), [0_u64; 0], "{kept}");
        assert_eq!(run.reconnects(), 1);
        if run.named("bus.aof_cut").is_empty() {
            assert_eq!(run.epochs(), 1, "{kept}");
        }
    }
}

#[test]
fn failover_the_data_is_as_old_as_the_plan_says_and_the_epoch_tells() {
    for append in [EVERYSEC, ALWAYS] {
        let run = under(append, "20s peer bus failover losing 3s");
        let losses = run.losses();
        assert!(losses.len() == 1 && (26..=42).contains(&losses[0]), "{append:?}: {losses:?}");
        assert_eq!((run.epochs(), run.reconnects()), (2, 1));
        assert!(run.told("client.found", "lock").iter().skip(1).all(|lock| lock == "mine"), "it is older");
    }
    let run = under(IN_MEMORY, "20s peer bus failover losing 3s");
    assert!(run.losses()[0] > 100, "there was no older dataset");
    assert_eq!((run.epochs(), run.reconnects()), (2, 1));
}

#[test]
fn failover_the_older_data_is_what_a_later_restart_finds() {
    let run = under(ALWAYS, "20s peer bus failover losing 3s\n30s host restart bus");
    assert_eq!((run.losses().len(), run.epochs(), run.reconnects()), (1, 2, 2));
}

#[test]
fn slow_every_command_waits_and_none_is_lost() {
    let run = under(IN_MEMORY, "20s peer bus slow 300ms..400ms for 10s");
    let slow = run.named("client.wrote").iter().filter(|event| event.number("took_ms") >= Some(300)).count();
    assert!((10..=16).contains(&slow), "{slow} slow writes");
    assert_eq!((run.losses(), run.epochs(), run.reconnects()), (vec![], 1, 0));
}

#[test]
fn evict_the_key_goes_although_nobody_removed_it_and_the_epoch_tells() {
    for append in [IN_MEMORY, ALWAYS] {
        let run = under(append, "20s peer bus evict lock\n30s host stop bus for 1s");
        let locks = run.told("client.found", "lock");
        let gone = locks.iter().position(|lock| lock == "none").expect("it goes");
        assert!(locks[1..gone].iter().all(|lock| lock == "mine") && gone > 100);
        assert!(locks[gone..].iter().all(|lock| lock == "none"), "also after a restart");
        let epochs = run.told("client.found", "epoch");
        assert_ne!(epochs[gone - 1], epochs[gone], "the epoch changes with the key");
    }
}

#[test]
fn a_disk_that_fills_up_refuses_writes_until_there_is_room() {
    let run = under(EVERYSEC, "20s disk full bus for 10s");
    assert_eq!((run.losses(), run.epochs()), (vec![], 1));
    assert_eq!(run.named("bus.aof_recovered").len(), 1);
    let told = run.named("bus.aof_write_failed")[0].text("error").expect("a reason").to_owned();
    assert_eq!(told, "No space left on device");
    assert!(
        run.named("bus.down")
            .iter()
            .any(|event| event.text("reason").is_some_and(|it| it.contains("MISCONF")))
    );
}

#[test]
fn an_fsync_that_fails_is_made_good_by_a_rewrite_from_memory() {
    let run = under(EVERYSEC, "20s disk fsync-fails bus for 3s\n30s host power-loss bus keeping none for 1s");
    assert_eq!(run.named("bus.aof_rewritten").len(), 1);
    assert!(run.losses().iter().all(|lost| *lost <= 12), "{:?}", run.losses());
}
