//! Every fault of the ledger, as a plan writes it. A client stores a numbered row each 100 ms and looks, whenever it has
//! connected again, whether the row whose fate it does not know is there.

use env::{Env, fact};
use faults::Board;
use ledger::{Config, serve};
use sim::{Case, Event, Options, Outcome, Plan, ms, run, secs};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, Error, NoTls, types::Type};

async fn client(env: Env) {
    let mut number = 0;
    loop {
        match timeout(secs(2), connect(&env)).await {
            Ok(Ok(client)) => {
                if let Err(error) = work(&client, &mut number).await {
                    fact!("client.lost", number, code = %code(&error));
                }
            }
            Ok(Err(code)) => fact!("client.turned_away", code = %code),
            Err(_) => fact!("client.turned_away", code = "none"),
        }
        sleep(ms(200)).await;
    }
}

async fn connect(env: &Env) -> Result<Client, String> {
    let stream = env.net.connect("ledger", 5432).await.map_err(|error| error.kind().to_string())?;
    let mut config = tokio_postgres::Config::new();
    config.user("trader");
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| code(&error))?;
    env.spawn("client.connection", async move {
        // How it ends is told to whoever uses it.
        let _ = connection.await;
    });
    Ok(client)
}

/// Stores rows until the connection is lost.
async fn work(client: &Client, number: &mut i64) -> Result<(), Error> {
    client.batch_execute("CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY)").await?;
    let found = client.query_typed("SELECT id FROM t WHERE id = $1", &[(&*number, Type::INT8)]).await?;
    fact!("client.found", number = *number, there = !found.is_empty());
    loop {
        *number += 1;
        let begun = Instant::now();
        match client.execute_typed("INSERT INTO t VALUES ($1)", &[(&*number, Type::INT8)]).await {
            Ok(_) => fact!("client.stored", number = *number, took = begun.elapsed().as_millis() as u64),
            Err(error) if error.is_closed() || fatal(&error) => return Err(error),
            Err(error) => fact!("client.failed", number = *number, code = %code(&error)),
        }
        sleep(ms(100)).await;
    }
}

fn fatal(error: &Error) -> bool {
    error.as_db_error().is_none_or(|error| error.severity() != "ERROR")
}

/// The SQLSTATE, or that the connection ended without one.
fn code(error: &Error) -> String {
    error.code().map_or_else(|| "closed".to_owned(), |code| code.code().to_owned())
}

/// What happened under a plan. `reached` are the facts without which the run means nothing.
fn under(plan: &str, reached: &'static [&'static str]) -> Outcome {
    let case = Case::new("a_ledger_with_faults", |world| {
        let faults = Board::new();
        world.peer("ledger", faults.clone());
        world.host("ledger", move |env| {
            let faults = faults.clone();
            async move { serve(env, Config { faults, ..Config::default() }).await.expect("it can serve") }
        });
        world.host("client", client);
    })
    .safety(secs(8))
    .settle(secs(2))
    .verify(|check| reached.iter().for_each(|name| check.reached(*name)));
    let plan = Some(Plan::parse(plan).expect("a well-formed plan"));
    let outcome = run(&case, 7, &Options { plan, ..Options::default() }).expect("a plan that fits");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    assert!(
        named(&outcome, "client.stored").last().expect("rows were stored").at.as_millis() > 9_500,
        "the client stores rows again in the end"
    );
    outcome
}

fn named<'a>(outcome: &'a Outcome, name: &str) -> Vec<&'a Event> {
    outcome.events.iter().filter(|event| event.name == name).collect()
}

fn codes(outcome: &Outcome, name: &str) -> Vec<String> {
    let mut codes: Vec<String> =
        named(outcome, name).iter().map(|event| event.text("code").expect("a code").to_owned()).collect();
    codes.dedup();
    codes
}

/// For each connection after the first: whether the row that was lost with the one before was there.
fn found(outcome: &Outcome) -> Vec<bool> {
    let there = |event: &&Event| event.get("there").map(ToString::to_string) == Some("true".to_owned());
    named(outcome, "client.found")[1..].iter().map(there).collect()
}

#[test]
fn without_faults_every_row_is_stored_at_once() {
    let outcome = under("", &["client.stored"]);
    assert!(named(&outcome, "client.stored").len() > 80);
    assert!(named(&outcome, "client.lost").is_empty() && named(&outcome, "client.failed").is_empty());
}

#[test]
fn a_ledger_that_refuses_turns_new_clients_away_and_keeps_the_old() {
    let outcome = under("2s peer ledger refuse for 2s\n3s net reset client|ledger", &["client.turned_away"]);
    assert_eq!(codes(&outcome, "client.turned_away"), ["57P03"]);
    let lost = named(&outcome, "client.lost")[0].at.as_millis();
    assert!(lost >= 3_000, "until its connection is cut, a client goes on: {lost}");
}

#[test]
fn too_many_connections_turn_new_clients_away() {
    let outcome = under(
        "2s peer ledger too-many-connections for 2s\n3s net reset client|ledger",
        &["client.turned_away"],
    );
    assert_eq!(codes(&outcome, "client.turned_away"), ["53300"]);
}

#[test]
fn a_connection_cut_before_the_commit_loses_the_row() {
    let outcome = under("2s peer ledger cut-before-commit 3", &["client.lost"]);
    assert_eq!(codes(&outcome, "client.lost"), ["closed"]);
    assert_eq!(found(&outcome), [false]);
}

#[test]
fn a_connection_cut_after_the_commit_keeps_the_row_that_nobody_confirmed() {
    let outcome = under("2s peer ledger cut-after-commit", &["client.lost"]);
    assert_eq!(codes(&outcome, "client.lost"), ["closed"]);
    assert_eq!(found(&outcome), [true]);
}

#[test]
fn a_slow_ledger_answers_late_and_only_while_it_is_slow() {
    let outcome = under("2s peer ledger slow 300ms..400ms for 2s", &["client.stored"]);
    let times: Vec<(i64, u64)> = named(&outcome, "client.stored")
        .iter()
        .map(|event| (event.at.as_millis() as i64, event.number("took").expect("a time")))
        .collect();
    assert!(times.iter().filter(|(_, took)| (300..420).contains(took)).count() >= 4, "{times:?}");
    assert!(times.iter().all(|(at, took)| *took < 100 || (2_000..4_500).contains(at)), "{times:?}");
}

#[test]
fn statements_and_commits_fail_to_serialize_as_often_as_planned() {
    for plan in [
        "2s peer ledger serialization-failure 3 for 3s",
        "2s peer ledger serialization-failure 3 at commit for 3s",
    ] {
        let outcome = under(plan, &["client.failed"]);
        assert_eq!(named(&outcome, "client.failed").len(), 3, "{plan}");
        assert_eq!(codes(&outcome, "client.failed"), ["40001"]);
        assert!(named(&outcome, "client.lost").is_empty(), "the session goes on");
    }
    let outcome = under("2s peer ledger serialization-failure 50% for 4s", &["client.failed"]);
    let failed = named(&outcome, "client.failed").len();
    assert!((8..32).contains(&failed), "{failed} of about 40");
}

#[test]
fn a_full_disk_refuses_rows_until_there_is_room() {
    let outcome = under("2s disk full ledger after 100B for 2s", &["client.failed"]);
    assert_eq!(codes(&outcome, "client.failed"), ["53100"]);
    assert!(named(&outcome, "client.lost").is_empty(), "the session goes on");
}

#[test]
fn a_failed_fsync_is_a_panic_after_which_the_log_is_read_again() {
    let outcome = under("2s disk fsync-fails ledger", &["ledger.panicked", "client.lost"]);
    assert_eq!(codes(&outcome, "client.lost"), ["58030"]);
    assert_eq!(found(&outcome), [true], "what could still be read has been written again and synced");
    assert_eq!(named(&outcome, "ledger.recovered").len(), 2);
}

#[test]
fn a_restart_loses_nothing_that_was_confirmed() {
    let outcome = under("2s host restart ledger", &["client.lost"]);
    let stored = named(&outcome, "client.stored").iter().filter(|event| event.at.as_millis() < 2_000).count();
    let recovered = named(&outcome, "ledger.recovered")[1].number("records").expect("a number");
    // The table's record comes on top; one more row may have been on its way.
    assert!((stored + 1..=stored + 2).contains(&(recovered as usize)), "{recovered} after {stored} rows");
}
