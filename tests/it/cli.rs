//! The command line: a wrong call costs one clear line, exit code 2 and nothing else.

use std::{
    fs,
    process::{Command, Output},
};

fn tradewind(args: &[&str]) -> Output {
    Command::new(tests::tradewind()).args(args).output().expect("tradewind runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one line that a wrong call gets.
fn complaint(args: &[&str]) -> String {
    let output = tradewind(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert_eq!(stdout(&output), "", "{args:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "{args:?} gets more than one line:\n{text}");
    line.strip_prefix("tradewind: ").expect("the program says who it is").to_string()
}

#[test]
fn a_wrong_call_gets_one_line_that_says_what_would_be_right() {
    let names: Vec<&str> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
    let unknown = format!(
        "invalid value 'calm_dya' for '[NAME]...': there is no such scenario; there are {}",
        names.join(", ")
    );
    assert_eq!(complaint(&["run", "calm_dya"]), unknown);
    let seeds = "a number of seeds is a whole number from 1 to 10000000";
    for absurd in ["-1", "0", "1e9", "99999999999999999999999", "ten", ""] {
        assert_eq!(
            complaint(&["run", "--seeds", absurd]),
            format!("invalid value '{absurd}' for '--seeds <N>': {seeds}")
        );
    }
    let jobs = "a number of jobs is a whole number from 1 to 1024";
    for absurd in ["-1", "0", "1000000"] {
        assert_eq!(
            complaint(&["run", "--jobs", absurd]),
            format!("invalid value '{absurd}' for '--jobs <J>': {jobs}")
        );
    }
    let seed = "a seed is a whole number from 0 to 18446744073709551615";
    for absurd in ["-1", "18446744073709551616", "1.5"] {
        let told = complaint(&["replay", "calm_day", "--seed", absurd]);
        assert_eq!(told, format!("invalid value '{absurd}' for '--seed <S>': {seed}"));
    }
    let last = "there are not 2 seeds from 18446744073709551615 on: the last is 18446744073709551615";
    assert_eq!(complaint(&["run", "--from", "18446744073709551615", "--seeds", "2"]), last);
    assert!(complaint(&["replay", "calm_day"]).contains("--seed <S>"), "the missing argument is named");
    assert!(complaint(&["fly"]).contains("unrecognized subcommand 'fly'"));
    assert!(complaint(&["run", "--colour"]).contains("unexpected argument '--colour'"));
}

#[test]
fn a_malformed_plan_is_refused_with_file_line_and_what_was_expected() {
    let directory = tempfile::tempdir().expect("room for a file");
    let path = directory.path().join("bad.plan");
    let replay = |plan: &[u8]| {
        fs::write(&path, plan).expect("a writable file");
        complaint(&["replay", "calm_day", "--seed", "1", "--plan", path.to_str().expect("a path of text")])
    };
    let file = path.display();
    let told = replay(b"# two faults\n1s  host kill trader\n2s  host explode trader\n");
    let kinds = "kill, restart, stop, power-loss, pause, slow or memory";
    assert_eq!(told, format!("{file}: line 3: expected {kinds}, found `explode`"));
    let told = replay(b"1s  host kill nobody\n");
    assert!(
        told.starts_with("`1.000s  host kill nobody`: no host is called \"nobody\"; there are broker, bus,"),
        "{told}"
    );
    assert!(replay(b"\xff\xfe").starts_with(&format!("{file}: ")), "a file that is no text");
    let missing = complaint(&["replay", "calm_day", "--seed", "1", "--plan", "/nowhere/at.all"]);
    assert!(missing.starts_with("/nowhere/at.all: No such file"), "{missing}");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_runs() {
    assert!(
        complaint(&["run", "--json", "/nowhere/report.json"])
            .starts_with("cannot write /nowhere/report.json: No such file")
    );
    let directory = tempfile::tempdir().expect("room for a file");
    let told = complaint(&["run", "--json", directory.path().to_str().expect("a path of text")]);
    assert!(told.ends_with("it is a directory"), "{told}");
}

#[test]
fn a_sweep_prints_a_table_and_writes_a_report() {
    let directory = tempfile::tempdir().expect("room for a file");
    let path = directory.path().join("report.json");
    let report = path.to_str().expect("a path of text");
    let output = tradewind(&[
        "run",
        "disk_full_ledger_write",
        "--seeds",
        "3",
        "--from",
        "40",
        "--jobs",
        "2",
        "--json",
        report,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("disk_full_ledger_write        3        3        0"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&output).trim_end().ends_with("all 3 runs held"));
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("a report")).expect("JSON");
    let seeds: Vec<&serde_json::Value> =
        report["results"].as_array().expect("results").iter().map(|r| &r["seed"]).collect();
    assert_eq!(seeds, [40, 41, 42]);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "no draft is left behind");
}

#[test]
fn a_replay_tells_the_same_story_twice_and_a_failure_fits_on_a_screen() {
    let replay = || {
        let output = tradewind(&["replay", "disk_full_ledger_write", "--seed", "7", "--trace"]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        // The last line tells how long it took.
        text.trim_end().rsplit_once('\n').expect("many lines").0.to_string()
    };
    let story = replay();
    assert_eq!(story, replay());
    for step in
        ["fault.begins", "intent.refused", "intent.in_outbox", "broker.order_filled", "outbox.drained"]
    {
        assert!(story.contains(step), "{step} is part of the story");
    }

    let directory = tempfile::tempdir().expect("room for a file");
    let path = directory.path().join("kill.plan");
    fs::write(&path, "20s  host kill ledger\n").expect("a writable file");
    let plan = path.to_str().expect("a path of text");
    let output = tradewind(&["replay", "calm_day", "--seed", "1", "--plan", plan]);
    assert_eq!(output.status.code(), Some(1));
    let screen = stdout(&output);
    for part in [
        "FAILED   calm_day seed 1",
        "broken   ",
        "seen     ",
        "20.000s  host kill ledger",
        "last events\n",
        "\n > ",
    ] {
        assert!(screen.contains(part), "{part:?} is missing:\n{screen}");
    }
    assert!(screen.contains(&format!("replay   cargo sim replay calm_day --seed 1 --plan {plan} --trace")));
    assert!(screen.lines().count() <= 40, "{screen}");
}

#[test]
fn a_trace_in_json_begins_with_what_it_is() {
    let text = stdout(&tradewind(&["replay", "disk_full_ledger_write", "--seed", "7", "--trace=json"]));
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(
        (&lines[0]["schema"], &lines[0]["seed"], &lines[0]["verdict"]),
        (&1.into(), &7.into(), &"held".into())
    );
    assert!(lines[1..].iter().all(|line| line["at"].is_number() && line["name"].is_string()));
}

#[test]
fn the_list_names_every_scenario_with_its_default_number_of_seeds() {
    let text = stdout(&tradewind(&["list"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), scenarios::ALL.len());
    for (line, scenario) in lines.iter().zip(scenarios::ALL) {
        assert!(
            line.starts_with(scenario.name) && line.contains(&format!("{} seeds", scenario.cost.seeds())),
            "{line}"
        );
    }
}
