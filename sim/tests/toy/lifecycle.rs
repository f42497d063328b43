//! Hosts that die, stand still, and come back.

use std::sync::Arc;

use env::{ProcessState, fact};
use sim::{Case, Options, Plan, invariant, mins, ms, run, secs};
use tokio::time::sleep;

use crate::world::{echo_world, losses, named, ping, serve, silence, story, uint, under};

#[test]
fn a_killed_server_closes_its_sockets_and_refuses_until_it_is_back() {
    let outcome = under("10s host kill server for 5s");
    let kinds = losses(&outcome);
    assert_eq!(kinds[0], "UnexpectedEof", "the system closes what the process had open");
    assert!(kinds.len() > 5 && kinds[1..].iter().all(|kind| kind == "ConnectionRefused"), "{kinds:?}");
    assert!(silence(&outcome, secs(16), secs(60)) < 1_000, "{}", story(&outcome));
}

#[test]
fn a_machine_without_power_is_silent_and_resets_old_connections_when_it_is_back() {
    let outcome = under("10s host power-loss server for 2s");
    assert_eq!(losses(&outcome), ["ConnectionReset"], "{}", story(&outcome));
    let quiet = silence(&outcome, secs(9), secs(20));
    assert!((2_000..5_000).contains(&quiet), "{quiet} ms");
    let outcome = under("10s host power-loss server for 30s");
    assert!(losses(&outcome).iter().all(|kind| kind == "TimedOut"), "{:?}", losses(&outcome));
}

#[test]
fn a_restart_is_a_kill_and_a_start() {
    let outcome = under("10s host restart server");
    assert_eq!(named(&outcome, "server.listens").len(), 2);
    assert_eq!(losses(&outcome).len(), 1, "a FIN, or a reset when the next line was on its way already");
}

#[test]
fn a_paused_process_stands_still_while_its_machine_acknowledges() {
    let outcome = under("10s host pause server for 3s");
    let slowest = named(&outcome, "client.echo").iter().map(|echo| uint(echo, "took_ms")).max();
    assert!(slowest.is_some_and(|took| (2_890..=3_020).contains(&took)), "{slowest:?}");
    assert_eq!(losses(&outcome), [""; 0]);
}

#[test]
fn a_slow_process_takes_longer_for_every_step() {
    let outcome = under("10s host slow server 50ms..60ms for 10s");
    let slow = named(&outcome, "client.echo").iter().filter(|echo| uint(echo, "took_ms") >= 52).count();
    assert!(slow > 40, "{slow} slow echoes");
}

#[test]
fn a_process_that_is_asked_to_stop_may_end_in_order() {
    let case = Case::new("orderly", |world| {
        world.host("server", |env| async move {
            env.processes.stop_requested().await;
            sleep(ms(50)).await;
            fact!("server.bows_out");
        });
    });
    let plan = Plan::parse("2s host stop server for 3s\n7s host stop server").expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    let told: Vec<(u64, &str)> = outcome
        .events
        .iter()
        .filter(|event| event.name.starts_with("server.") || event.name == "host.started")
        .map(|event| (event.at.as_millis(), event.name))
        .collect();
    let expected = [
        (0, "host.started"),
        (2_050, "server.bows_out"),
        (5_000, "host.started"),
        (7_050, "server.bows_out"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn one_process_can_manage_another() {
    let case = Case::new("supervised", |world| {
        world.host("server", serve).host("client", |env| ping(env, ms(100)));
        world.host("supervisor", |env| async move {
            sleep(secs(2)).await;
            assert!(env.processes.start("server").await.is_err(), "it runs already");
            env.processes.kill("server").await.expect("a known name");
            assert_eq!(env.processes.state("server").expect("a known name"), ProcessState::Stopped);
            sleep(secs(2)).await;
            env.processes.start("server").await.expect("it does not run");
            assert_eq!(env.processes.state("server").expect("a known name"), ProcessState::Running);
            assert!(env.processes.restart("nobody").await.is_err());
            fact!("supervisor.done");
            std::future::pending::<()>().await;
        });
    })
    .verify(|check| check.reached("supervisor.done"));
    let outcome = run(&case, 1, &Options::default()).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert!(silence(&outcome, secs(2), secs(4)) >= 1_900);
    assert!(silence(&outcome, secs(5), secs(10)) < 500);
}

#[test]
fn a_killed_process_leaves_no_task_behind() {
    let case = Case::new("ticker", |world| {
        world.host("server", |env| async move {
            for _ in 0..10 {
                env.spawn("tick", async {
                    loop {
                        fact!("server.tick");
                        sleep(ms(100)).await;
                    }
                });
            }
            std::future::pending::<()>().await;
        });
    })
    .safety(mins(1));
    let plan = Plan::parse("5s host kill server").expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held());
    assert!(named(&outcome, "server.tick").iter().all(|tick| tick.at.elapsed() <= secs(5)));
}

#[test]
fn nothing_of_a_run_outlives_it() {
    let relic = Arc::new("what a host, a check and an exhibit hold");
    let (kept, shown, watched) = (relic.clone(), relic.clone(), relic.clone());
    let case = Case::new("relic", move |world| {
        echo_world(world);
        world.publish(shown.clone());
        let kept = kept.clone();
        world.host("keeper", move |env| {
            let kept = kept.clone();
            async move {
                let task_of_its_own = kept.clone();
                env.clone().spawn("keep", async move {
                    let _env = env;
                    std::future::pending::<()>().await;
                    drop(task_of_its_own);
                });
                std::future::pending::<()>().await;
                drop(kept);
            }
        });
    });
    let case = case.verify(move |check| {
        let watched = watched.clone();
        check.always(invariant("the relic is there", move |_, _| {
            if watched.is_empty() { Err("gone".into()) } else { Ok(()) }
        }));
    });
    let before = Arc::strong_count(&relic);
    let outcome = run(&case, 1, &Options::default()).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert_eq!(Arc::strong_count(&relic), before, "something of the run is still there");
}
