//! Every way in which a run can end, each brought about.

use env::fact;
use sim::{Case, Limits, Options, Plan, Verdict, invariant, mins, ms, run, run_twice, secs};
use tokio::time::sleep;

use crate::world::{echo_case, echo_world};

fn verdict(case: &Case, plan: &str, limits: Limits) -> Verdict {
    let plan = Some(Plan::parse(plan).expect("a well-formed plan"));
    run(case, 1, &Options { plan, limits, ..Options::default() }).expect("known hosts").verdict
}

#[test]
fn a_broken_invariant_names_the_event_and_what_was_seen() {
    let case = echo_case().verify(|check| {
        check.always(invariant("the client counts to ten at most", |event, _| match event.get("number") {
            Some(sim::trace::Value::Uint(11)) => Err("eleven".into()),
            _ => Ok(()),
        }));
    });
    let Verdict::Violated(violation) = verdict(&case, "", Limits::default()) else { panic!("it counts on") };
    assert_eq!(violation.seen, "eleven");
    assert_eq!(violation.event.expect("an event broke it").name, "client.echo");
}

#[test]
fn what_does_not_come_true_in_time_is_a_violation_at_the_deadline() {
    let case = echo_case().verify(|check| {
        check.eventually("the moon is blue", secs(7), |view| {
            Err(format!("{} events, no moon", view.events().len()))
        });
    });
    let Verdict::Violated(violation) = verdict(&case, "", Limits::default()) else {
        panic!("it is not blue")
    };
    assert_eq!((violation.at.as_millis(), violation.event), (67_000, None));
    assert!(violation.seen.ends_with("no moon"));
}

#[test]
fn what_comes_true_in_time_holds() {
    let case = echo_case().verify(|check| {
        check.eventually("an echo after the healing", secs(1), |view| {
            let healed = view.named("world.healed").next().map(|event| event.at);
            let echo = view.named("client.echo").next_back().map(|event| event.at);
            if echo > healed { Ok(()) } else { Err("silence".into()) }
        });
    });
    assert_eq!(
        verdict(&case, "20s net partition client|server", Limits::default()).word(),
        "violated",
        "SYN waits longer"
    );
    assert_eq!(verdict(&case, "20s net reset client|server", Limits::default()), Verdict::Held);
}

#[test]
fn a_fault_without_effect_makes_the_run_vacuous() {
    let Verdict::Vacuous { missing } =
        verdict(&echo_case(), "5s disk full server after 9B for 1s", Limits::default())
    else {
        panic!("nobody writes to the server's disk")
    };
    assert_eq!(missing, ["an effect of `disk full server after 9B`"]);
    let trigger_that_never_comes = "on moon.rises #1 host kill server";
    assert_eq!(verdict(&echo_case(), trigger_that_never_comes, Limits::default()).word(), "vacuous");
    let case = echo_case().verify(|check| check.reached("moon.rises"));
    assert_eq!(
        verdict(&case, "", Limits::default()),
        Verdict::Vacuous { missing: vec!["moon.rises".into()] }
    );
    let case = echo_case().verify(|check| check.reached("net reset"));
    assert_eq!(verdict(&case, "5s net reset client|server", Limits::default()), Verdict::Held);
}

#[test]
fn a_trigger_fires_at_its_event() {
    let plan =
        Some(Plan::parse("on client.echo #30 +50ms net reset client|server").expect("a well-formed plan"));
    let outcome = run(&echo_case(), 1, &Options { plan, ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    let echo = crate::world::named(&outcome, "client.echo")[29].at;
    let reset = crate::world::named(&outcome, "fault.begins")[0].at;
    assert_eq!(reset, echo + ms(50));
}

#[test]
fn a_panic_of_a_process_is_a_verdict_with_its_place() {
    let case = Case::new("panic", |world| {
        world.host("a", |env| async move {
            env.spawn("helper", async {
                sleep(secs(1)).await;
                panic!("the helper gives up");
            });
            sleep(mins(9)).await;
        });
    });
    let Verdict::Panicked { host, task, message } = verdict(&case, "", Limits::default()) else {
        panic!("it panics")
    };
    assert_eq!((host.as_str(), task.as_str()), ("a", "helper"));
    assert!(message.starts_with("the helper gives up (") && message.contains("verdicts.rs"), "{message}");
}

#[test]
fn a_livelock_runs_out_of_steps() {
    let case = Case::new("spin", |world| {
        world.host("a", |_| async {
            loop {
                tokio::task::yield_now().await;
            }
        });
    });
    let limits = Limits { steps: 10_000, ..Limits::default() };
    assert_eq!(verdict(&case, "", limits), Verdict::Stalled { reason: "10000 steps and no end".into() });
}

#[test]
fn a_step_that_does_not_end_runs_out_of_time() {
    let case = Case::new("hang", |world| {
        world.host("a", |_| async {
            // Not for ever: the thread cannot be stopped and outlives the verdict.
            let started = std::time::Duration::from_secs(9);
            std::thread::park_timeout(started);
        });
    });
    let limits = Limits { wall: ms(10), ..Limits::default() };
    assert_eq!(verdict(&case, "", limits).word(), "stalled");
}

#[test]
fn a_run_that_depends_on_more_than_its_seed_diverges_at_a_named_event() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let case = Case::new("leaky", |world| {
        echo_world(world);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        world.host("leak", move |_| async move {
            sleep(secs(3)).await;
            fact!("leak.tells", run = run);
        });
    });
    let Verdict::Diverged { first, second } =
        run_twice(&case, 1, &Options::default()).expect("known hosts").verdict
    else {
        panic!("a counter leaks from run to run")
    };
    assert!(first.contains("leak.tells") && second.contains("leak.tells") && first != second);
    assert!(run_twice(&echo_case(), 1, &Options::default()).expect("known hosts").verdict.held());
}

#[test]
fn a_plan_for_another_world_is_refused() {
    let plan = Some(Plan::parse("1s host kill moon").expect("a well-formed plan"));
    let error = run(&echo_case(), 1, &Options { plan, ..Options::default() }).expect_err("there is no moon");
    assert_eq!(
        error.to_string(),
        "`1.000s  host kill moon`: no host is called \"moon\"; there are server, client"
    );
}
